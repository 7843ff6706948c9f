// The figures of a run: metrics.csv, which has no times in it, so that a resumed run's equals the uninterrupted one's
// byte for byte, and the same as events for TensorBoard. Figures are on the disk once committed; a state that is saved
// after a commit knows its place, and what is behind that place is forgotten when a stage is resumed from the state.
using System.Globalization;
using System.Text;

namespace EpSam.Native.Pipeline;

/// <summary>Figures on disk. Not thread-safe.</summary>
public sealed class Journal : IJournal
{
    const string Header = "stage,epoch,step,name,value\n";

    readonly string _metrics, _events;
    readonly Func<double> _clock;
    readonly StringBuilder _lines = new();
    readonly MemoryStream _records = new();

    /// <summary>Goes on with a run's files, or begins them.</summary>
    /// <param name="folder">The run.</param>
    /// <param name="clock">Seconds since 1970, for events; null: the real one.</param>
    public Journal(RunFolder folder, Func<double>? clock = null)
    {
        (_metrics, _events) = (folder.Metrics, folder.Events);
        _clock = clock ?? (() => (DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds);
        if (!File.Exists(_metrics)) RunFolder.Write(_metrics, Encoding.ASCII.GetBytes(Header));
        if (!File.Exists(_events)) RunFolder.Write(_events, TensorBoardEvents.Head(_clock()));
    }

    /// <inheritdoc/>
    public void Add(string stage, long epoch, long step, string name, double value)
    {
        _lines.Append(CultureInfo.InvariantCulture,
            $"{CsvText.Field(stage)},{epoch},{step},{CsvText.Field(name)},{value:R}\n");
        _records.Write(TensorBoardEvents.Scalar(_clock(), step, $"{stage}/{name}", value));
    }

    /// <inheritdoc/>
    public string Commit()
    {
        byte[] lines = Encoding.UTF8.GetBytes(_lines.ToString());
        long metrics = Append(_metrics, lines), events = Append(_events, _records.ToArray());
        Clear();
        return string.Create(CultureInfo.InvariantCulture, $"{metrics}:{events}");
    }

    /// <inheritdoc/>
    public void Rewind(string stage, string? place)
    {
        Clear();
        if (place is null)
        {
            Forget(stage);
            return;
        }
        string[] parts = place.Split(':');
        if (parts.Length != 2 || !long.TryParse(parts[0], CultureInfo.InvariantCulture, out long metrics)
            || !long.TryParse(parts[1], CultureInfo.InvariantCulture, out long events))
        {
            throw new RunException($"the state of {stage} has the place {place} in the journal, which is none");
        }
        Truncate(_metrics, metrics);
        Truncate(_events, events);
    }

    void Clear()
    {
        _lines.Clear();
        _records.SetLength(0);
    }

    // On an error the file may end with a part of what was to be added; the next attempt begins where that began.
    static long Append(string path, ReadOnlySpan<byte> bytes)
    {
        using FileStream stream = new(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, 0);
        long start = stream.Length;
        if (bytes.IsEmpty) return start;
        try
        {
            stream.Position = start;
            stream.Write(bytes);
            stream.Flush(flushToDisk: true);
            return stream.Length;
        }
        catch (IOException)
        {
            stream.SetLength(start);
            throw;
        }
    }

    static void Truncate(string path, long length)
    {
        using FileStream stream = new(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
        if (stream.Length < length)
        {
            throw new RunException($"{path} has {stream.Length} bytes, the saved state was made with {length}: it has "
                + "been changed or lost. --stage runs the stage anew");
        }
        stream.SetLength(length);
    }

    // All that a stage has added; where nothing was, the files stay as they are.
    void Forget(string stage)
    {
        byte[] events = File.ReadAllBytes(_events);
        List<(Range Place, string? Tag)> records = TensorBoardEvents.Records(events);
        Range[] kept = [.. records.Where(r => r.Tag is null || !Of(r.Tag)).Select(r => r.Place)];
        if (kept.Sum(r => r.End.Value - r.Start.Value) < events.Length)
            RunFolder.Write(_events, [.. kept.SelectMany(r => events[r])]);
        string text = File.ReadAllText(_metrics);
        StringBuilder rest = new(Header);
        foreach (string line in text.Split('\n').Skip(1).SkipLast(1))   // what follows the last line's end is no line
            if (line.Split(',')[0] != CsvText.Field(stage)) rest.Append(line).Append('\n');
        if (rest.Length < text.Length) RunFolder.Write(_metrics, Encoding.UTF8.GetBytes(rest.ToString()));

        bool Of(string tag) => tag.StartsWith(stage + "/", StringComparison.Ordinal);
    }
}
