// Files that appear complete or not at all: each is written beside its target under a temporary name and flushed
// to the disk; only when all of them are there are they renamed. On an error the temporary files are removed and
// what was there before is untouched.
using System.Collections.Concurrent;

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

    /// <summary>
    /// While the library writes this file: should the process end meanwhile, what it has written beside it is removed.
    /// </summary>
    public static IDisposable Saving(string path) => new Save(Path.GetFullPath(path));

    /// <summary>Before the process ends in the middle of its work.</summary>
    public static void RemoveUnfinished()
    {
        foreach (string path in Saves.Keys)
        {
            string pattern = $".{Path.GetFileName(path)}.*.tmp";   // as the library calls them
            foreach (string beside in Directory.GetFiles(Path.GetDirectoryName(path)!, pattern)) File.Delete(beside);
        }
    }

    static readonly ConcurrentDictionary<string, bool> Saves = new();

    sealed class Save : IDisposable
    {
        readonly string _path;

        public Save(string path) => Saves[_path = path] = true;

        public void Dispose() => Saves.TryRemove(_path, out _);
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
