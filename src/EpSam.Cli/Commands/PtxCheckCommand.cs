using System.CommandLine;

namespace EpSam.Cli.Commands;

internal static class PtxCheckCommand
{
    public static Command Create() => new("check", "Check a PTX file: every entry must load; NVIDIA's assembler is asked too when it is here.");
}
