// What the ptx commands know of a file before any device sees it: its entries and their parameters. Both ways of
// looking at a file put its name before every message.
using EpSam.Cuda;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.Cli;

internal static class PtxFile
{
    public static PtxModule Parse(string file, string text)
    {
        try
        {
            return Parser.Parse(text);
        }
        catch (PtxException e)
        {
            throw new UserError($"{file}: {e.Message}");
        }
    }

    /// <summary>The entry of this name; otherwise an error that lists those there are.</summary>
    public static PtxFunction Entry(string file, string text, string name)
    {
        PtxModule module = Parse(file, text);
        string[] entries = [.. module.Functions.Where(f => f.IsEntry).Select(f => f.Name)];
        return module.Functions.Find(f => f.IsEntry && f.Name == name) ?? throw new UserError(
            $"{file} has no entry {name}; " + (entries.Length == 0
                ? "it has no entry at all" : $"it has {string.Join(", ", entries)}"));
    }

    public static CUmodule Load(Device device, string file, string text)
    {
        try
        {
            return device.Load(text);
        }
        catch (UserError e)
        {
            throw new UserError($"{file}: {e.Message}");
        }
    }
}
