// epsam ptx check: every entry of a file must parse and build on the virtual GPU; where NVIDIA's assembler is here,
// it is asked as well, and its answer counts.
using System.CommandLine;
using EpSam.Cuda;
using EpSam.VirtualGpu.Ptx;
using Spectre.Console;

namespace EpSam.Cli.Commands;

internal static class PtxCheckCommand
{
    static readonly Argument<string> File = new("FILE") { Description = "the PTX file" };

    public static Command Create()
    {
        const string Description = "Check a PTX file: every entry must build; NVIDIA's assembler is asked when here.";
        Command command = new("check", Description) { File };
        command.SetAction(parsed => Run(parsed.GetRequiredValue(File), parsed.InvocationConfiguration.Output));
        return command;
    }

    static int Run(string file, TextWriter writer)
    {
        string text = InputFile.ReadPtx(file);
        PtxModule module = PtxFile.Parse(file, text);
        PtxFunction[] entries = [.. module.Functions.Where(f => f.IsEntry)];
        using Provider provider = Provider.Open(ProviderOptions.Virtual);
        CUmodule loaded = PtxFile.Load(provider.Device, file, text);

        string? program = Ptxas.Find();
        List<PtxasEntry>? assembled = null;
        string words = "";
        if (program is not null) (assembled, words) = Ptxas.Assemble(program, file, module.Target);

        Table table = new Table().Border(TableBorder.Minimal);
        table.AddColumns("entry", "parameters", "shared", "local");
        if (assembled is not null) table.AddColumns("registers", "ptxas shared", "spills", "stack");
        foreach (PtxFunction entry in entries)
        {
            CUfunction function = provider.Device.Function(loaded, entry.Name);
            List<string> row =
            [
                Markup.Escape(entry.Name), $"{entry.Parameters.Count}",
                Bytes(provider.Device.Attribute(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)),
                Bytes(provider.Device.Attribute(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)),
            ];
            if (assembled?.Find(e => e.Name == entry.Name) is PtxasEntry a)
                row.AddRange([$"{a.Registers}", Bytes(a.Shared), Bytes(a.SpillStores + a.SpillLoads), Bytes(a.Stack)]);
            table.AddRow([.. row]);
        }
        Terminal.Write(writer, table);
        string count = entries.Length == 1 ? "1 entry" : $"{entries.Length} entries";
        string version = $"PTX {module.VersionMajor}.{module.VersionMinor}, {module.Target}";
        writer.WriteLine($"{file}: {count}, {version}: builds on the virtual GPU");
        if (program is null)
            writer.WriteLine("ptxas: not asked: neither on PATH nor in build/ptxas (cmake/get-ptxas fetches it)");
        else if (assembled is null)
            throw new UserError($"{file}: refused by {program} for {module.Target}:\n{words}");
        else
            writer.WriteLine($"ptxas {Ptxas.Version(program)}: accepts it for {module.Target}");
        return ExitCode.Ok;
    }

    static string Bytes(int count) => $"{count} B";
}
