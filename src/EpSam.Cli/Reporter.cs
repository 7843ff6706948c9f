// What a long command says while it works. Results go to the output, one line each, or as one JSON object at the end;
// all else goes to the error stream: on a terminal a bar with rate and time left, in a file or pipe a line now and
// then. --quiet leaves failures only.
using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace EpSam.Cli;

internal sealed class Reporter(TextWriter output, TextWriter error, bool isJson, bool isQuiet,
    IAnsiConsole? terminal = null)
{
    static readonly TimeSpan Between = TimeSpan.FromSeconds(10);   // plain lines

    const int Wide = 100;   // columns of a terminal

    IAnsiConsole? _bar;
    ProgressContext? _bars;

    /// <summary>Runs the work; on a terminal with a bar below what it says.</summary>
    public void Work(Action work)
    {
        bool isTerminal = terminal is not null
            || (ReferenceEquals(error, Console.Error) && !Console.IsErrorRedirected);
        if (isQuiet || !isTerminal)
        {
            work();
            return;
        }
        _bar = terminal ?? AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) });
        int bar = _bar.Profile.Width < Wide ? 10 : 30;
        ProgressColumn[] columns =
        [
            new SpinnerColumn(), new WorkColumn(), new ProgressBarColumn { Width = bar }, new ShareColumn(),
            new RateColumn(), new RemainingTimeColumn(),
        ];
        _bar.Progress().AutoClear(true).HideCompleted(true).Columns(columns).Start(bars =>
        {
            _bars = bars;
            work();
        });
        (_bar, _bars) = (null, null);
    }

    /// <summary>A result.</summary>
    public void Say(string line)
    {
        if (isJson || isQuiet) return;
        if (_bar is not null && ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected) Above(line);
        else output.WriteLine(line);
    }

    /// <summary>Something a user may want to know.</summary>
    public void Note(string line)
    {
        if (!isQuiet) Tell(line);
    }

    /// <summary>A failure that the work goes on after.</summary>
    public void Fail(string line) => Tell($"epsam: {line}");

    /// <summary>The result as a whole, when JSON is wanted.</summary>
    public void Json(Func<string> text)
    {
        if (isJson) output.WriteLine(text());
    }

    /// <summary>A stage of the work that has <paramref name="total"/> steps, called for example "points".</summary>
    public Stage Begin(string what, long total, string unit) => new(this, what, total, unit);

    void Tell(string line)
    {
        if (_bar is not null) Above(line);
        else error.WriteLine(line);
    }

    void Above(string line) => _bar!.Write(new LineAbove(new Text(line + "\n")));

    // The bar is written over, not away: what is left of it beside a shorter line would stay.
    sealed class LineAbove(IRenderable text) : IRenderable
    {
        const string EraseBelow = "\e[J";

        public Measurement Measure(RenderOptions options, int maxWidth) => text.Measure(options, maxWidth);

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
            text.Render(options, maxWidth).Prepend(Segment.Control(EraseBelow));
    }

    /// <summary>Told the share that is done, 0 to 1. Its end takes the bar away.</summary>
    internal sealed class Stage : IProgress<double>, IDisposable
    {
        readonly Reporter _reporter;
        readonly ProgressTask? _task;
        readonly Stopwatch _watch = Stopwatch.StartNew();
        readonly string _what, _unit;
        readonly long _total;
        TimeSpan _next = Between;
        (double Done, TimeSpan At)? _first;

        public Stage(Reporter reporter, string what, long total, string unit)
        {
            (_reporter, _what, _total, _unit) = (reporter, what, total, unit);
            _task = reporter._bars?.AddTask(Markup.Escape(what), maxValue: Math.Max(1, total));
            if (_task is not null) RateColumn.Stages[_task.Id] = this;
            if (_task is not null && total <= 1) _task.IsIndeterminate = true;
        }

        public void Report(double share) => Report(share * _total, "");

        /// <summary>So many steps are done; figures ("loss 0.41") are shown beside.</summary>
        public void Report(double done, string figures)
        {
            _first ??= done <= 1 ? (0, TimeSpan.Zero) : (done, _watch.Elapsed);   // resumed: does not begin at 0
            if (_task is not null)
            {
                _task.Value = done;
                if (figures.Length > 0) _task.Description = Markup.Escape($"{_what}, {figures}");
            }
            else if (_watch.Elapsed >= _next && done > _first.Value.Done && done < _total)
            {
                _next = _watch.Elapsed + Between;
                double rate = (done - _first.Value.Done) / (_watch.Elapsed - _first.Value.At).TotalSeconds;
                string beside = figures.Length > 0 ? $"{figures}, " : "";
                string left = Left((_total - done) / rate);
                _reporter.Note(string.Create(CultureInfo.InvariantCulture,
                    $"{_what}: {done:F0} of {_total} {_unit}, {beside}{rate:G3} {_unit}/s, {left} left"));
            }
        }

        /// <summary>"21.3 points/s", of what was done since it was begun or resumed.</summary>
        public string Rate
        {
            get
            {
                double done = (_task?.Value ?? 0) - (_first?.Done ?? 0);
                double seconds = (_watch.Elapsed - (_first?.At ?? TimeSpan.Zero)).TotalSeconds;
                return done <= 0 || seconds <= 0 ? ""
                    : string.Create(CultureInfo.InvariantCulture, $"{done / seconds:G3} {_unit}/s");
            }
        }

        static string Left(double seconds)
        {
            (double value, string unit) = seconds < 90 ? (seconds, "s") : seconds < 5400 ? (seconds / 60, "min")
                : (seconds / 3600, "h");
            return value.ToString(unit == "h" ? "F1" : "F0", CultureInfo.InvariantCulture) + " " + unit;
        }

        public void Dispose()
        {
            if (_task is null) return;
            _task.Value = _task.MaxValue;
            _task.StopTask();
        }
    }

    /// <summary>What is done. On a narrow terminal it and the bar give way, so that a line stays a line.</summary>
    sealed class WorkColumn : ProgressColumn
    {
        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Clipped(Markup.Remove(task.Description));
    }

    sealed class Clipped(string text) : IRenderable
    {
        public Measurement Measure(RenderOptions options, int maxWidth) =>
            new(Math.Min(1, maxWidth), Math.Min(text.Length, maxWidth));

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
            [new Segment(text.Length <= maxWidth ? text : text[..Math.Max(0, maxWidth - 1)] + "…")];
    }

    /// <summary>" 12%".</summary>
    sealed class ShareColumn : ProgressColumn
    {
        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text(string.Create(CultureInfo.InvariantCulture, $"{task.Percentage,3:F0}%"));
    }

    /// <summary>"21.3 points/s".</summary>
    sealed class RateColumn : ProgressColumn
    {
        public static readonly Dictionary<int, Stage> Stages = [];

        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text(task.IsIndeterminate || !Stages.TryGetValue(task.Id, out Stage? stage) ? "" : stage.Rate);
    }
}
