// Opens a checkpoint of any format that is read here. The format is told from the bytes, never from the file's name.
// A failure is a CheckpointException with a kind; no byte of a file is ever executed.
using System.Text;

namespace EpSam.Native.Checkpoints;

/// <summary>Formats of checkpoints.</summary>
public enum CheckpointFormat
{
    /// <summary>Made here, not read.</summary>
    None,
    /// <summary>safetensors.</summary>
    Safetensors,
    /// <summary>torch.save since PyTorch 1.6: a zip archive.</summary>
    TorchZip,
    /// <summary>torch.save before PyTorch 1.6: a stream of pickles, then the storages.</summary>
    TorchLegacy,
}

/// <summary>Reads checkpoints.</summary>
public static class Checkpoint
{
    /// <summary>Opens a safetensors or PyTorch file. The file stays mapped until the result is disposed.</summary>
    /// <exception cref="CheckpointException">The file is no valid checkpoint; the message starts with its
    /// path.</exception>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static StateDict Open(string path)
    {
        FileInfo file = new(path);
        if (!file.Exists) throw new FileNotFoundException($"checkpoint {path} does not exist", path);
        if (file.Length == 0) throw new CheckpointException(CheckpointError.Empty, $"{path} has no bytes");
        MappedSource source = new(path);
        try
        {
            return Read(source);
        }
        catch (CheckpointException e)
        {
            source.Dispose();
            throw new CheckpointException(e.Error, $"{path}: {e.Message[(e.Error.ToString().Length + 2)..]}");
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Reads a checkpoint that lies in memory. The bytes must not change while its tensors are read.</summary>
    public static StateDict Parse(ReadOnlyMemory<byte> bytes) => Read(new MemorySource(bytes));

    internal static StateDict Read(ByteSource source)
    {
        MemoryBudget budget = new(source.Length);
        return Sniff(source) switch
        {
            CheckpointFormat.TorchZip => TorchZip.Read(source, budget),
            CheckpointFormat.TorchLegacy => TorchLegacy.Read(source, budget),
            _ => Safetensors.Read(source, budget),
        };
    }

    static CheckpointFormat Sniff(ByteSource source)
    {
        if (source.Length == 0) throw new CheckpointException(CheckpointError.Empty, "there are no bytes");
        ReadOnlySpan<byte> head = source.Slice(0, (int)Math.Min(source.Length, 512));
        if (head.StartsWith("PK\u0003\u0004"u8) || head.StartsWith("PK\u0005\u0006"u8))
            return CheckpointFormat.TorchZip;
        // 0x80 starts a pickle. It can also be the first byte of a header's length, then '{' comes after eight bytes.
        if (head.Length > 8 && head[8] == '{') return CheckpointFormat.Safetensors;
        if (head[0] == 0x80) return CheckpointFormat.TorchLegacy;
        if (head.Length > 262 && head[257..262].SequenceEqual("ustar"u8))
        {
            throw new CheckpointException(CheckpointError.UnknownFormat,
                "a tar archive, the format of PyTorch before 0.2; load it with PyTorch and save it again");
        }
        if (head.Length < 9) return CheckpointFormat.Safetensors;   // too short for anything; that reader says so
        throw new CheckpointException(CheckpointError.UnknownFormat,
            $"neither safetensors nor a PyTorch checkpoint; it starts with {Convert.ToHexString(head[..8])} "
            + $"('{CheckpointException.Show(Encoding.Latin1.GetString(head[..8]))}')");
    }
}
