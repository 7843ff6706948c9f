using System.CommandLine;

namespace EpSam.Cli.Commands;

internal static class DoctorCommand
{
    public static Command Create() => new("doctor", "Show what this machine can run, what is missing and how to install it.");
}
