// A file that appears complete or not at all: written beside its target, flushed to the disk, renamed, and the rename
// flushed too. After a crash at any point the target is the old file or the new one.
using System.Runtime.InteropServices;

namespace EpSam.Native.Checkpoints;

internal static partial class AtomicFile
{
    public static void Write(string path, Action<Stream> fill)
    {
        string full = Path.GetFullPath(path);
        string directory = Path.GetDirectoryName(full) ?? throw new IOException($"{path} is a directory");
        string temporary = Path.Combine(directory, $".{Path.GetFileName(full)}.{Guid.NewGuid():N}.tmp");
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                fill(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, full, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
        if (!OperatingSystem.IsWindows()) FlushDirectory(directory);
    }

    // .NET opens no directories. A file system that cannot flush one says so, and is left alone.
    static void FlushDirectory(string directory)
    {
        int handle = Open(directory, 0);
        if (handle < 0) return;
        _ = Fsync(handle);
        _ = Close(handle);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Fsync(int handle);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int handle);
}
