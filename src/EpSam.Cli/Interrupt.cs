// Ctrl-C and a polite kill. The first asks the work to stop, which it does between kernels or files; where that takes
// longer than a user wants to wait, or at the second, the process ends there and then. Nothing is half-written in
// either case: outputs have their names only when they are complete, and folders still being filled are removed here.
// Training has a state to save, which it does after the step at hand: it is waited for longer, and that is said.
using System.Runtime.InteropServices;

namespace EpSam.Cli;

internal sealed class Interrupt : IDisposable
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(2), PatienceWhenSaving = TimeSpan.FromMinutes(30);

    static volatile Action? _saving;

    /// <summary>Says that work which is asked to stop saves its state first; null: it has none.</summary>
    public static Action? Saving
    {
        set => _saving = value;
    }

    /// <summary>What a user is told when the process ends at once: how to go on. The first command's, where it runs
    /// others.</summary>
    public static string? Hint { get; set; }

    readonly CancellationTokenSource _source = new();
    readonly PosixSignalRegistration[] _signals;

    public Interrupt()
    {
        _signals = [PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop)];
    }

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (PosixSignalRegistration signal in _signals) signal.Dispose();
        _source.Dispose();
    }

    void Stop(PosixSignalContext context)
    {
        context.Cancel = true;   // the runtime does not end the process: this does
        if (_source.IsCancellationRequested) End();
        Action? saving = _saving;
        saving?.Invoke();
        ThreadPool.QueueUserWorkItem(_ =>
        {
            _source.Cancel();
            Thread.Sleep(saving is null ? Patience : PatienceWhenSaving);
            End();
        });
    }

    static void End()
    {
        OutputFolder.RemoveUnfinished();
        OutputFiles.RemoveUnfinished();
        // away with the bar; the cursor is shown again
        if (!Console.IsErrorRedirected) Console.Error.Write("\r\e[K\e[?25h");
        Console.Error.WriteLine($"epsam: cancelled{Hint}");
        Environment.Exit(ExitCode.Cancelled);
    }
}
