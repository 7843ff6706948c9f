#!/usr/bin/env bash
# Builds everything once in Release and runs all tests. The last line is the sum: "N passed, N failed, N skipped"; what
# failed stands again right above it, from "== failed" on.
#   ./test.sh                    all tests
#   ./test.sh quick              without those of category Slow (two minutes beside the build)
#   ./test.sh --filter X         only tests whose full name contains X, or an expression of `dotnet test --filter`
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() { sed -n '4,6s/^# *//p' "$0" >&2; exit 2; }
quick="" filter=""
while [ $# -gt 0 ]; do
    case $1 in
        quick) quick=1 ;;
        --filter) [ $# -ge 2 ] || usage; filter=$2; shift ;;
        *) echo "test.sh: unknown argument '$1'" >&2; usage ;;
    esac
    shift
done

log=$(mktemp) other=$(mktemp) failures=$(mktemp) beside=""
trap '[ -z "$beside" ] || kill "$beside" 2>/dev/null; rm -f "$log" "$other" "$failures"' EXIT

finish() { # passed, failed, skipped
    if [ -s "$failures" ]; then echo "== failed"; cat "$failures"; fi
    echo "$1 passed, $2 failed, $3 skipped"
    [ "$2" -eq 0 ]; exit $?
}

# The failed tests of a console log, short: name, the first lines of the message, where. At most 20 of them.
failed_tests() {
    awk '
        function flush() { if (where != "") print "      at " where; where = "" }
        /^  Failed / { flush(); count++; part = "name"; lines = 0; if (count <= 20) print "  " substr($0, 10); next }
        /^  (Passed|Skipped) |^(Passed|Failed)! / { part = ""; next }
        part == "" { next }
        /^ *Error Message:$/ { part = "message"; next }
        /^ *(Stack Trace|Standard Output Messages):$/ { part = /Stack/ ? "stack" : ""; next }
        count > 20 { next }
        part == "message" && NF && lines < 8 { sub(/^ */, ""); print "      " substr($0, 1, 300); lines++ }
        part == "stack" && match($0, / in .*:line [0-9]+$/) { where = $0; sub(/.*\//, "", where) }
        END { flush(); if (count > 20) print "  ... and " count - 20 " more" }' "$1"
}

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
export DOTNET_CLI_UI_LANGUAGE=en                # the runner's summary, which is read below, is translated otherwise
if ! grep -qE '^(1[0-9]|[2-9][0-9])\.' <<<"$(dotnet --list-sdks 2>/dev/null)"; then
    echo "test.sh: needs the .NET 10 SDK, found $(dotnet --version 2>/dev/null || echo none)." >&2
    echo "  Debian/Ubuntu: apt-get install -y dotnet-sdk-10.0     other systems: https://dot.net/download" >&2
    echo "  no .NET 10 SDK" >"$failures"
    finish 0 1 0
fi

cmake/get-imaging || true                       # tests that need them are skipped without them
echo "Building ..."
if ! dotnet build EpSam.Native.sln -c Release -v quiet -nologo </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    echo "test.sh: the build failed" >&2
    { echo "  the build"; grep -E 'error|warning' "$log" | sort -u | head -n 10 | cut -c 1-300; } >"$failures"
    finish 0 1 0
fi

case $filter in                                 # a bare word means: contained in the full name
    "" | *[=~]*) ;;
    *) filter="FullyQualifiedName~$filter" ;;
esac
if [ -n "$quick" ]; then filter="TestCategory!=Slow${filter:+&($filter)}"; fi

run_tests() { # PROJECT
    exec dotnet test "$1" -c Release --no-build --logger "console;verbosity=minimal" \
        ${filter:+--filter "$filter"} </dev/null 2>&1
}

add_totals() { # PROJECT, status, log
    local f p s
    # The runner's summary: "Passed!  - Failed:     0, Passed:    10, Skipped:     0, Total:    10, Duration: …"
    read -r f p s < <(sed -nE \
        's/.*- Failed: *([0-9]+), Passed: *([0-9]+), Skipped: *([0-9]+), Total.*/\1 \2 \3/p' "$3" | tail -1)
    passed=$((passed + ${p:-0})) skipped=$((skipped + ${s:-0})) failed=$((failed + ${f:-0}))
    failed_tests "$3" >>"$failures"
    if [ "$2" -ne 0 ] && { [ "${f:-0}" -eq 0 ] || grep -q "test run was aborted" "$3"; }; then
        echo "test.sh: $1 ended with status $2; counted as a failed test" >&2
        {
            echo "  $1 ended with status $2; its last lines:"
            tail -n 15 "$3" | cut -c 1-300
        } >>"$failures"
        failed=$((failed + 1))
    fi
}

# Both at once, since neither keeps all cores busy; what the smaller one says comes when the other has ended.
passed=0 failed=0 skipped=0
run_tests tests/EpSam.VirtualGpu.Tests >"$other" & beside=$!
echo "== tests/EpSam.Native.Tests"
(run_tests tests/EpSam.Native.Tests) | tee "$log" | sed "/^  Skipped /d"
add_totals tests/EpSam.Native.Tests "${PIPESTATUS[0]}" "$log"
echo "== tests/EpSam.VirtualGpu.Tests"
wait "$beside"; status=$? beside=""
sed "/^  Skipped /d" "$other"
add_totals tests/EpSam.VirtualGpu.Tests "$status" "$other"
if [ $((passed + failed + skipped)) -eq 0 ]; then
    echo "  no test matches" >"$failures"
    failed=1
fi
finish "$passed" "$failed" "$skipped"
