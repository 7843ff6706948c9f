# The line protocol between `bench peers` and a rival: it says one line of JSON when it is ready, then answers
#   run        does the work once: the seconds it took
#   save PATH  writes the last result as raw float32: "saved"
#   peak       the most memory the process had so far, in MiB (only here: bench peers looks for itself)
#   quit       ends
import json
import resource
import sys
import time


def serve(once, save, version, settings):
    def say(text):
        print(text, flush=True)

    result = None
    say(json.dumps({"version": version, "settings": settings}))
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "run":
            result = None  # not two results at a time
            start = time.perf_counter()
            result = once()
            say(f"{time.perf_counter() - start:.6f}")
        elif word == "save":
            save(result, rest)
            say("saved")
        elif word == "peak":
            say(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
        elif word == "quit":
            return
        else:
            sys.exit(f"unknown request {line!r}")
