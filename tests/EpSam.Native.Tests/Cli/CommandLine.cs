using EpSam.Cli;

namespace EpSam.Native.Tests.Cli;

/// <summary>What one command line did: exit code and both outputs.</summary>
internal sealed record CommandLine(int Code, string Output, string Error)
{
    public static CommandLine Run(params string[] arguments)
    {
        StringWriter output = new(), error = new();
        int code = Program.Run(arguments, output, error);
        return new CommandLine(code, output.ToString(), error.ToString());
    }
}
