using EpSam.Native.Pipeline;

namespace EpSam.Cli;

/// <summary>Tells a user what a run does: bars with figures on a terminal, else lines now and then.</summary>
internal sealed class RunObserver(Reporter reporter) : IRunObserver
{
    public IWorkProgress Begin(string what, long total, string unit) => new Work(reporter.Begin(what, total, unit));

    public void Note(string line) => reporter.Note(line);

    public void Warn(string line) => reporter.Note($"warning: {line}");

    sealed class Work(Reporter.Stage stage) : IWorkProgress
    {
        public void Report(long done, string figures) => stage.Report(done, figures);

        public void Dispose() => stage.Dispose();
    }
}
