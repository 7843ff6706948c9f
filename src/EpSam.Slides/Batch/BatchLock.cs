// A file that one process holds open. The system lets go of it however the process ends. The files stay: if they were
// deleted, a process could hold one that has no name any more beside one that holds its successor.
namespace EpSam.Slides.Batch;

internal static class BatchLock
{
    static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);

    /// <summary>Takes the lock; null: another process has it.</summary>
    public static FileStream? Try(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1);
        }
        catch (IOException e) when (IsTaken(e.HResult))
        {
            return null;
        }
    }

    // A sharing violation of Windows; elsewhere EWOULDBLOCK, which is 11 on Linux and 35 on systems of BSD's kind.
    static bool IsTaken(int code) => OperatingSystem.IsWindows() ? (code & 0xFFFF) is 32 or 33 : code is 11 or 35;

    /// <summary>Waits for it.</summary>
    /// <exception cref="BatchException">It was not let go of in that time.</exception>
    public static FileStream Take(string path, TimeSpan patience, string what)
    {
        for (TimeSpan waited = default; ; waited += Step)
        {
            if (Try(path) is FileStream mine) return mine;
            if (waited > patience) throw new BatchException($"another process is {what}; try again when it is done");
            Thread.Sleep(Step);
        }
    }
}
