// A rival, in a process of its own so that its peak memory is its own. It speaks lines (bench/peers/peer.py): one of
// JSON when it is ready, then an answer to each request. What it says on stderr is kept for when it fails.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace EpSam.Bench.Peers;

/// <summary>A rival is not there, ended, or answered something else than was asked.</summary>
internal sealed class PeerException(string message) : Exception(message);

internal sealed class PeerProcess : IDisposable
{
    const int KeptLines = 8;

    readonly Process _process;
    readonly Queue<string> _errors = new();
    long _loadPeak;

    PeerProcess(string name, Process process)
    {
        (Name, _process) = (name, process);
        process.ErrorDataReceived += (_, e) => Keep(e.Data);
        process.BeginErrorReadLine();
    }

    public string Name { get; }

    /// <summary>What it says of itself.</summary>
    public string Version { get; private set; } = "";
    public string Settings { get; private set; } = "";
    public long DeviceBytes { get; private set; }

    /// <summary>The most memory it had in its life so far.</summary>
    public long Peak => Math.Max(_loadPeak, Resident());

    /// <summary>The most memory since it was ready; the same as <see cref="Peak"/> where that cannot be told.</summary>
    public long RunPeak => Resident();

    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.HasExited ? default : _process.TotalProcessorTime;
        }
    }

    /// <summary>Starts it and waits until it is ready.</summary>
    public static PeerProcess Start(string name, TimeSpan limit, string file, params IEnumerable<string> arguments)
    {
        PeerProcess peer = new(name, Launch(name, file, arguments));
        try
        {
            using JsonDocument ready = JsonDocument.Parse(peer.Line("its start", limit));
            peer.Version = ready.RootElement.GetProperty("version").GetString() ?? "";
            peer.Settings = ready.RootElement.GetProperty("settings").GetString() ?? "";
            if (ready.RootElement.TryGetProperty("device_bytes", out JsonElement device))
                peer.DeviceBytes = device.GetInt64();
            peer._loadPeak = peer.Resident();
            peer.ResetPeak();
            return peer;
        }
        catch (Exception e)
        {
            peer.Dispose();
            if (e is JsonException) throw new PeerException($"{name} did not say that it is ready: {e.Message}");
            throw;
        }
    }

    /// <summary>Runs a program to its end.</summary>
    public static void Complete(string name, TimeSpan limit, string file, params IEnumerable<string> arguments)
    {
        using PeerProcess peer = new(name, Launch(name, file, arguments));
        if (!peer._process.WaitForExit(limit))
            throw new PeerException($"{name} took longer than {limit.TotalSeconds:F0} s");
        peer._process.WaitForExit(); // until stderr is read to its end
        if (peer._process.ExitCode != 0) throw new PeerException($"{name} failed: {peer.Errors()}");
    }

    /// <summary>Does the work once; seconds by its own clock.</summary>
    public double Run(TimeSpan limit) =>
        double.Parse(Ask("run", limit), NumberStyles.Float, CultureInfo.InvariantCulture);

    /// <summary>Writes its last result.</summary>
    public void Save(string path, TimeSpan limit)
    {
        if (Ask($"save {path}", limit) is string answer and not "saved")
            throw new PeerException($"{Name} answered '{answer}'");
    }

    public void Dispose()
    {
        try
        {
            _process.StandardInput.WriteLine("quit");
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // it has ended already
        }
        if (!_process.WaitForExit(TimeSpan.FromSeconds(2))) _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }

    static Process Launch(string name, string file, IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(file, arguments)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new PeerException($"{name} cannot be started: {e.Message}");
        }
    }

    string Ask(string request, TimeSpan limit)
    {
        try
        {
            _process.StandardInput.WriteLine(request);
        }
        catch (IOException)
        {
            // it has ended; what it said last comes with the missing answer
        }
        return Line($"'{request}'", limit);
    }

    string Line(string to, TimeSpan limit)
    {
        Task<string?> line = _process.StandardOutput.ReadLineAsync();
        if (!line.Wait(limit))
            throw new PeerException($"{Name} gave no answer to {to} within {limit.TotalSeconds:F0} s");
        if (line.Result is string answer) return answer;
        _process.WaitForExit(TimeSpan.FromSeconds(2));
        throw new PeerException($"{Name} ended without an answer to {to}: {Errors()}");
    }

    long Resident()
    {
        _process.Refresh();
        return _process.HasExited ? 0 : _process.PeakWorkingSet64; // VmHWM on Linux
    }

    // Linux only: 5 sets VmHWM back to what is resident now. Elsewhere the peak stays that of the whole life.
    void ResetPeak()
    {
        try
        {
            File.WriteAllText($"/proc/{_process.Id}/clear_refs", "5");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // RunPeak then is Peak
        }
    }

    void Keep(string? line)
    {
        if (string.IsNullOrWhiteSpace(line)) return;
        lock (_errors)
        {
            _errors.Enqueue(line);
            if (_errors.Count > KeptLines) _errors.Dequeue();
        }
    }

    string Errors()
    {
        lock (_errors) return _errors.Count == 0 ? "it said nothing" : string.Join(Environment.NewLine, _errors);
    }
}
