// Files that appear complete or not at all: each is written beside its target under a temporary name and flushed
// to the disk; only when all of them are there are they renamed. On an error the temporary files are removed and
// what was there before is untouched.
namespace EpSam.Cli;

internal static class OutputFiles
{
    /// <summary>Throws unless a file of this name can be made; asked before the work starts.</summary>
    public static void RequireWritable(string path)
    {
        string full = Path.GetFullPath(path);
        if (Directory.Exists(full)) throw new UserError($"output {path} is a directory; expected a file name");
        string directory = Path.GetDirectoryName(full)!;
        if (!Directory.Exists(directory))
            throw new UserError($"output {path}: the directory {directory} does not exist");
    }

    /// <summary>Writes all files or none.</summary>
    public static void Write(IReadOnlyList<(string Path, Action<Stream> Fill)> files)
    {
        List<(string Temporary, string Target)> written = [];
        try
        {
            foreach ((string path, Action<Stream> fill) in files)
            {
                string temporary = $"{path}.{Environment.ProcessId}.tmp";
                written.Add((temporary, path));
                using FileStream stream = new(temporary, FileMode.Create, FileAccess.Write);
                fill(stream);
                stream.Flush(flushToDisk: true);
            }
            foreach ((string temporary, string target) in written) File.Move(temporary, target, overwrite: true);
        }
        catch (Exception e)
        {
            foreach ((string temporary, _) in written)
                if (File.Exists(temporary)) File.Delete(temporary);
            if (e is not (IOException or UnauthorizedAccessException)) throw;
            throw new UserError($"cannot write {written[^1].Target}: {e.Message}");
        }
    }
}
