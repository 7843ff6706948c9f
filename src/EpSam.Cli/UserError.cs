namespace EpSam.Cli;

/// <summary>What a command exits with.</summary>
internal static class ExitCode
{
    public const int Ok = 0;
    public const int Failure = 1;   // the command line was right, the work was not possible
    public const int Usage = 2;     // the command line itself is wrong
    public const int Cancelled = 130;   // 128 + SIGINT, as shells count
}

/// <summary>An error that the user can mend: printed as "epsam: message", without a stack trace.</summary>
internal sealed class UserError(string message, int exitCode = ExitCode.Failure) : Exception(message)
{
    public int Code { get; } = exitCode;

    public static UserError Usage(string message) => new(message, ExitCode.Usage);
}
