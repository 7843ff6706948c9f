// Files given by the user, with errors that say what is there instead of what was expected.
using System.Text;

namespace EpSam.Cli;

internal static class InputFile
{
    const long LongestText = 64 << 20;

    public static FileStream Open(string path, string what)
    {
        if (Directory.Exists(path)) throw new UserError($"{what} {path} is a directory; expected a file");
        if (!File.Exists(path)) throw new UserError($"{what} {path} does not exist");
        try
        {
            return File.OpenRead(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot read {what} {path}: {e.Message}");
        }
    }

    /// <summary>A PTX file as text. A zero byte would end it early for the driver, so it is refused.</summary>
    public static string ReadPtx(string path)
    {
        using FileStream stream = Open(path, "PTX file");
        if (stream.Length == 0) throw new UserError($"PTX file {path} is empty");
        if (stream.Length > LongestText)
            throw new UserError($"PTX file {path} has {stream.Length} bytes; at most {LongestText} are read");
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        int zero = bytes.AsSpan().IndexOf((byte)0);
        if (zero >= 0)
            throw new UserError($"PTX file {path} is not a text: byte {zero} is zero (a cubin cannot be read)");
        return Encoding.UTF8.GetString(bytes);
    }
}
