namespace EpSam.Native.Checkpoints;

/// <summary>Why a checkpoint was refused.</summary>
public enum CheckpointError
{
    /// <summary>The file has no bytes.</summary>
    Empty,
    /// <summary>Neither safetensors nor one of PyTorch's two formats.</summary>
    UnknownFormat,
    /// <summary>Reading would take more memory than twice the file's size and a small constant.</summary>
    MemoryLimit,

    /// <summary>safetensors: fewer than the eight bytes of the header's length.</summary>
    HeaderTooSmall,
    /// <summary>safetensors: a header of more than 100,000,000 bytes.</summary>
    HeaderTooLarge,
    /// <summary>safetensors: the header would end behind the end of the file.</summary>
    InvalidHeaderLength,
    /// <summary>safetensors: the header does not start with '{'.</summary>
    InvalidHeaderStart,
    /// <summary>safetensors: the header is not the JSON the format describes.</summary>
    InvalidHeader,
    /// <summary>A name occurs twice.</summary>
    DuplicateName,
    /// <summary>safetensors: an element type that is not known.</summary>
    UnknownType,
    /// <summary>safetensors: data offsets that leave a hole, overlap or run backwards.</summary>
    InvalidOffset,
    /// <summary>safetensors: offsets that do not agree with shape and type.</summary>
    InvalidTensorSize,
    /// <summary>safetensors: the data is shorter or longer than the tensors.</summary>
    IncompleteData,
    /// <summary>A size, or a product of sizes, that does not fit 63 bits.</summary>
    Overflow,

    /// <summary>zip: the central directory or its end record is damaged.</summary>
    ZipDirectory,
    /// <summary>zip: an entry is damaged, or its local header tells something else than the directory.</summary>
    ZipEntry,
    /// <summary>zip: an entry is compressed; PyTorch stores its records.</summary>
    ZipCompressed,
    /// <summary>zip: an entry is encrypted.</summary>
    ZipEncrypted,
    /// <summary>zip: entries overlap.</summary>
    ZipOverlap,
    /// <summary>zip: bytes do not agree with their checksum.</summary>
    ZipChecksum,
    /// <summary>zip: not the records of a PyTorch checkpoint.</summary>
    ZipRecords,

    /// <summary>The file ends within the pickle or its storages.</summary>
    Truncated,
    /// <summary>pickle: an instruction that is unknown or not allowed.</summary>
    PickleInstruction,
    /// <summary>pickle: a class or function that is not on the list of harmless ones.</summary>
    PickleGlobal,
    /// <summary>pickle: more instructions, values, marks or nesting than are allowed.</summary>
    PickleLimit,
    /// <summary>pickle: a value of the wrong kind, or a stack or memo used wrongly.</summary>
    PickleValue,
    /// <summary>A tensor whose sizes, strides and storage do not agree.</summary>
    InvalidTensor,
    /// <summary>Storages of the stream and storages named by the pickle differ.</summary>
    InvalidStorage,

    /// <summary>A type that has no float value, or that the format to be written cannot hold.</summary>
    NotConvertible,
    /// <summary>The tensors are not those that were asked for.</summary>
    KeysDiffer,
}

/// <summary>A checkpoint that is damaged, hostile or not the one that is needed.</summary>
/// <param name="error">The kind.</param>
/// <param name="message">What is wrong, where, and what was expected.</param>
public sealed class CheckpointException(CheckpointError error, string message) : Exception($"{error}: {message}")
{
    /// <summary>The kind.</summary>
    public CheckpointError Error { get; } = error;

    /// <summary>Text from a file, fit for a message: no control characters, at most 120 characters.</summary>
    internal static string Show(string text)
    {
        bool isLong = text.Length > 120;
        string shown = string.Concat((isLong ? text[..120] : text).Select(c =>
            char.IsControl(c) || char.IsSurrogate(c) ? $"\\u{(int)c:x4}" : c.ToString()));
        return isLong ? shown + "…" : shown;
    }
}
