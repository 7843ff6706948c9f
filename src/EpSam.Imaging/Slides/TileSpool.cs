using Microsoft.Win32.SafeHandles;

namespace EpSam.Imaging.Slides;

/// <summary>A file of pieces in the order in which they come, gone when it is closed. Thread-safe.</summary>
internal sealed class TileSpool(string path) : IDisposable
{
    readonly SafeFileHandle _file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None,
        FileOptions.DeleteOnClose);
    long _end;

    /// <summary>Room for so many bytes.</summary>
    public long Reserve(int bytes) => Interlocked.Add(ref _end, bytes) - bytes;

    public long Append(ReadOnlySpan<byte> piece)
    {
        long at = Reserve(piece.Length);
        RandomAccess.Write(_file, piece, at);
        return at;
    }

    public void Write(ReadOnlySpan<byte> piece, long at) => RandomAccess.Write(_file, piece, at);

    public void Read(Span<byte> piece, long at)
    {
        while (piece.Length > 0)
        {
            int got = RandomAccess.Read(_file, piece, at);
            if (got == 0) throw new EndOfStreamException($"{path} has been cut off");
            piece = piece[got..];
            at += got;
        }
    }

    public void Dispose() => _file.Dispose();
}
