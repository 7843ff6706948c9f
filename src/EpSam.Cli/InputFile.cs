namespace EpSam.Cli;

internal static class InputFile
{
    /// <summary>The whole file, or an error that says what is there instead.</summary>
    public static byte[] Read(string path, string what)
    {
        if (Directory.Exists(path)) throw new UserError($"{what} {path} is a directory; expected a file");
        if (!File.Exists(path)) throw new UserError($"{what} {path} does not exist");
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot read {what} {path}: {e.Message}");
        }
    }
}
