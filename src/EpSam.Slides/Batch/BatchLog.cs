// What a process did, for people: machine, device, begin and end, seconds of each slide. Nothing is read from it again;
// results do not follow from it.
using System.Text.Json;
using System.Text.Json.Serialization;

namespace EpSam.Slides.Batch;

internal sealed class BatchLog(string path, TimeProvider clock)
{
    static readonly JsonSerializerOptions Line = new(ResultJson.Line)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    sealed record Entry(DateTimeOffset Time, string Event)
    {
        public string? Machine { get; init; }
        public int? Process { get; init; }
        public string? Version { get; init; }
        public string? Slide { get; init; }
        public string? Device { get; init; }
        public double? Seconds { get; init; }
        public string? Text { get; init; }
    }

    public void Begin(string version, string what) => Add(new Entry(clock.GetUtcNow(), "begin")
    {
        Machine = Environment.MachineName, Process = Environment.ProcessId, Version = version, Text = what,
    });

    public void Slide(SlideOutcome outcome, string? device) =>
        Add(new Entry(clock.GetUtcNow(), outcome.State.ToString().ToLowerInvariant())
        {
            Slide = outcome.File.Name, Seconds = Math.Round(outcome.Seconds, 3), Text = outcome.Error, Device = device,
        });

    public void End(string how) => Add(new Entry(clock.GetUtcNow(), "end") { Text = how });

    void Add(Entry entry)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.AppendAllText(path, JsonSerializer.Serialize(entry, Line) + "\n");
    }
}
