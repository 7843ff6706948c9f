// Where the bytes of a checkpoint come from: a mapped file or an array. A mapped file is never read as a whole, so a
// checkpoint costs the memory of its names only. Spans of a mapped file are valid until it is disposed: they stay
// inside this folder, users get copies. A file that another process shortens while it is mapped kills the process, as
// everywhere; writers that replace files by renaming (ours does) never do that.
using System.IO.MemoryMappedFiles;

namespace EpSam.Native.Checkpoints;

internal abstract class ByteSource : IDisposable
{
    public abstract long Length { get; }

    /// <summary>Bytes [offset, offset + length); both were checked by who made the offsets, and are checked again
    /// here.</summary>
    public abstract ReadOnlySpan<byte> Slice(long offset, int length);

    public virtual void Dispose() { }

    protected void Require(long offset, int length)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
            throw new ArgumentOutOfRangeException(nameof(offset), $"{length} bytes at {offset} of {Length}");
    }
}

internal sealed class MemorySource(ReadOnlyMemory<byte> bytes) : ByteSource
{
    public override long Length => bytes.Length;

    public override ReadOnlySpan<byte> Slice(long offset, int length)
    {
        Require(offset, length);
        return bytes.Span.Slice((int)offset, length);
    }
}

internal sealed unsafe class MappedSource : ByteSource
{
    readonly MemoryMappedFile _file;
    readonly MemoryMappedViewAccessor _view;
    byte* _bytes;

    /// <summary>Maps a file that is not empty; throws what opening a file throws.</summary>
    public MappedSource(string path)
    {
        FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
        Length = stream.Length;
        // It owns the stream from here on.
        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None,
            false);
        _view = _file.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _bytes);
        _bytes += _view.PointerOffset;
    }

    public override long Length { get; }

    public override ReadOnlySpan<byte> Slice(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(_bytes is null, this);
        Require(offset, length);
        return new ReadOnlySpan<byte>(_bytes + offset, length);
    }

    public override void Dispose()
    {
        if (_bytes is null) return;
        _bytes = null;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }
}
