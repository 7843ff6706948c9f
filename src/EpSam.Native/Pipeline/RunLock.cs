// One process a run. The system holds the lock as long as the file is open and lets go of it however the process ends,
// so that a killed run never stands in the way of the next.
using System.Globalization;
using System.Text;

namespace EpSam.Native.Pipeline;

/// <summary>Holds a run's folder.</summary>
public sealed class RunLock : IDisposable
{
    readonly FileStream _stream;

    RunLock(FileStream stream) => _stream = stream;

    /// <summary>Takes the lock.</summary>
    /// <exception cref="RunException">Another process has it.</exception>
    public static RunLock Take(RunFolder folder)
    {
        Directory.CreateDirectory(folder.Root);
        FileStream stream = Open(folder);
        stream.SetLength(0);
        stream.Write(Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)));
        stream.Flush();
        return new RunLock(stream);
    }

    /// <summary>Whether a process works in the folder.</summary>
    public static bool IsTaken(RunFolder folder)
    {
        if (!File.Exists(folder.Lock)) return false;
        try
        {
            using FileStream stream = new(folder.Lock, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;   // someone else's folder, looked at
        }
    }

    /// <summary>Lets go.</summary>
    public void Dispose() => _stream.Dispose();

    // Someone who asks whether it is taken holds it for an instant: tried again before it is refused.
    static FileStream Open(RunFolder folder)
    {
        for (int tries = 3; ; tries--)
        {
            try
            {
                return new FileStream(folder.Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (tries > 0)
            {
                Thread.Sleep(50);
            }
            catch (IOException e)
            {
                throw new RunException($"{folder.Root} is in use by another process, whose number is in {folder.Lock}",
                    e);
            }
        }
    }
}
