using System.CommandLine;

namespace EpSam.Cli;

internal static class Provider
{
    public static readonly Option<string> Option = new("--gpu")
    {
        HelpName = "virtual[:CARD]|native", DefaultValueFactory = _ => "virtual", Description = "where kernels run",
    };
}
