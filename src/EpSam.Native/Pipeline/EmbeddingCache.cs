// Encoded images on the disk, because encoding is most of the work and training sees an image many times. A file is
// named after what it was made of: weights, pixels and orientation. It begins with that key and a checksum, so that a
// damaged or misplaced one is noticed and made anew. When there is no room the files go whose use is longest ago. What
// a caller gets never depends on what was there: encodings are what they are, to the bit.
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Pipeline;

/// <summary>A folder of embeddings, never larger than it may be. One at a time uses it. Not thread-safe.</summary>
public sealed class EmbeddingCache
{
    const int KeyBytes = 32, SumAt = 8 + KeyBytes, HeaderBytes = SumAt + 4;
    const string Extension = ".f16";

    readonly string _folder, _weights;
    readonly long _capacity;
    readonly int _bytes;
    readonly Action<string> _warn;
    readonly LinkedList<(string Name, long Bytes)> _byUse = new(); // the longest unused first
    readonly Dictionary<string, LinkedListNode<(string Name, long Bytes)>> _files = [];
    long _total;
    bool _isBroken;

    static ReadOnlySpan<byte> Magic => "epsamem1"u8;

    /// <summary>Opens a folder, or makes it.</summary>
    /// <param name="folder">Where.</param>
    /// <param name="capacity">Most bytes of all files; 0 keeps none.</param>
    /// <param name="weights">What encodes: as <see cref="WeightsDigest"/> gives it.</param>
    /// <param name="bytes">Of an embedding.</param>
    /// <param name="warn">Is told once when files cannot be written; then none are.</param>
    public EmbeddingCache(string folder, long capacity, string weights, int bytes, Action<string> warn)
    {
        (_folder, _capacity, _weights, _bytes, _warn) = (folder, capacity, weights, bytes, warn);
        if (!Directory.Exists(folder)) return;
        foreach (string left in Directory.EnumerateFiles(folder, ".*.tmp")) File.Delete(left);
        foreach (FileInfo file in new DirectoryInfo(folder).GetFiles("*" + Extension)
            .OrderBy(f => f.LastWriteTimeUtc).ThenBy(f => f.Name, StringComparer.Ordinal))
            Add(file.Name, file.Length);
        MakeRoom(0);
    }

    /// <summary>A run's, for what this trainer encodes with these weights.</summary>
    internal static EmbeddingCache Of(RunContext run, Training.DecoderTrainer trainer, IParameterSource sam)
    {
        long room = run.Config.Decoder.Cache == "0" ? 0 : Runtime.Sizes.Parse(run.Config.Decoder.Cache);
        string how = $"{trainer.Config} {string.Join(' ', trainer.Config.GlobalBlocks)} {run.Config.Precision}";
        string weights = room == 0 ? "" : WeightsDigest(sam, how);
        return new EmbeddingCache(run.Folder.Cache, room, weights, trainer.EmbeddingBytes, run.Observer.Warn);
    }

    /// <summary>Embeddings that were found.</summary>
    public long Hits { get; private set; }

    /// <summary>Embeddings that had to be made.</summary>
    public long Misses { get; private set; }

    long Size => HeaderBytes + (long)_bytes;

    /// <summary>Tells one set of weights from another: names, shapes and values of the image encoder.</summary>
    /// <param name="source">The parameters.</param>
    /// <param name="how">What else an encoding depends on: sizes, precision.</param>
    /// <param name="prefix">Of the names that count.</param>
    public static string WeightsDigest(IParameterSource source, string how, string prefix = "image_encoder.")
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(how));
        float[] values = [];
        foreach (string name in source.Names.Where(n => n.StartsWith(prefix, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal))
        {
            source.TryGetShape(name, out Shape shape);
            hash.AppendData(Encoding.UTF8.GetBytes($"\n{name} {shape}\n"));
            if (values.Length < shape.Count) values = new float[shape.Count];
            Span<float> part = values.AsSpan(0, (int)shape.Count);
            source.Read(name, part);
            hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes(part));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Tells one image from another.</summary>
    public static string ImageDigest(Picture picture)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{picture.Height} x {picture.Width} x {picture.Channels}\n"));
        hash.AppendData(picture.Pixels);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The embedding of an image, from the disk, or made and put there.</summary>
    /// <param name="image">The image as it is: see <see cref="ImageDigest"/>.</param>
    /// <param name="orientation">How it is laid down.</param>
    /// <param name="encode">Makes the embedding of the image so laid down.</param>
    public byte[] Get(string image, Orientation orientation, Func<byte[]> encode)
    {
        byte[] key = SHA256.HashData(Encoding.UTF8.GetBytes($"{_weights} {image} {orientation.Index} {_bytes}"));
        string name = Convert.ToHexStringLower(key) + Extension;
        if (_files.ContainsKey(name) && Read(name, key) is byte[] found)
        {
            Hits++;
            return found;
        }
        Misses++;
        byte[] made = encode();
        if (made.Length != _bytes) throw new ArgumentException($"an embedding has {_bytes} bytes, got {made.Length}");
        Store(name, key, made);
        return made;
    }

    // Null, and the file is gone, when it is not what it should be.
    byte[]? Read(string name, byte[] key)
    {
        string path = Path.Combine(_folder, name);
        try
        {
            byte[] file = File.ReadAllBytes(path);
            if (file.Length == Size && file.AsSpan().StartsWith(Magic)
                && file.AsSpan(Magic.Length, KeyBytes).SequenceEqual(key)
                && BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(SumAt)) == Sum(file))
            {
                _byUse.Remove(_files[name]);
                _byUse.AddLast(_files[name]);
                File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
                return file[HeaderBytes..];
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // as a file that is damaged
        }
        Remove(name);
        return null;
    }

    void Store(string name, byte[] key, byte[] embedding)
    {
        if (_isBroken || Size > _capacity) return;
        byte[] file = [.. Magic, .. key, .. new byte[4], .. embedding];
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(SumAt), Sum(file));
        try
        {
            MakeRoom(Size);
            RunFolder.Write(Path.Combine(_folder, name), file);
            Add(name, Size);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _isBroken = true;
            _warn($"encoded images are not kept any more, training goes on slower: {e.Message}");
        }
    }

    void MakeRoom(long more)
    {
        while (_byUse.First is LinkedListNode<(string Name, long Bytes)> oldest && _total + more > _capacity)
            Remove(oldest.Value.Name);
    }

    void Add(string name, long bytes)
    {
        _files.Add(name, _byUse.AddLast((name, bytes)));
        _total += bytes;
    }

    void Remove(string name)
    {
        _total -= _files[name].Value.Bytes;
        _byUse.Remove(_files[name]);
        _files.Remove(name);
        File.Delete(Path.Combine(_folder, name));
    }

    static uint Sum(byte[] file) => ~Crc32.Update(uint.MaxValue, file.AsSpan(HeaderBytes));
}
