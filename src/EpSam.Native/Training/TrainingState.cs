// All that a resumed run needs, in one safetensors file that appears complete or not at all: trained parameters,
// moments and what else changes (running statistics) bit for bit, how many steps each parameter has taken, and named
// values of schedule, early stopping, sampler and random numbers. A checksum over all tensors and values tells a
// damaged file; names and shapes tell one of another model. Nothing is changed before all of the file has been found
// good.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Training;

/// <summary>Saves a run and brings it back.</summary>
/// <param name="gpu">The device.</param>
/// <param name="optimizer">Parameters, moments and steps.</param>
/// <param name="changes">Which parameters that are not trained change nevertheless: running statistics.</param>
public sealed class TrainingState(Gpu gpu, Optimizer optimizer, Func<string, bool>? changes = null)
{
    const string Kind = "epsam training state 1", KindName = "format", ChecksumName = "crc32", ValuePrefix = "value.";
    const string StepsName = "steps";

    /// <summary>Writes the state; what was at the path stays until all of the new file is on the disk.</summary>
    /// <exception cref="IOException">The file cannot be written; what was there before is untouched.</exception>
    public void Save(string path, StateValues values)
    {
        List<TensorEntry> entries = [];
        foreach ((string name, Tensor tensor) in Tensors())
        {
            byte[] bytes = new byte[tensor.Bytes];
            gpu.Download(tensor, bytes);
            ElementType type = tensor.DType == DType.F32 ? ElementType.F32 : ElementType.BF16;
            entries.Add(new TensorEntry(name, type, Sizes(tensor.Shape), bytes));
        }
        byte[] steps = MemoryMarshal.AsBytes(optimizer.Steps.AsSpan()).ToArray();
        entries.Add(new TensorEntry(StepsName, ElementType.I64, [optimizer.Steps.Length], steps));
        Dictionary<string, object?> metadata = new() { [KindName] = Kind };
        foreach ((string name, string value) in values.All) metadata[ValuePrefix + name] = value;
        using StateDict state = new(entries, metadata);
        metadata[ChecksumName] = Checksum(state);
        using StateDict complete = new(entries, metadata);
        complete.Save(path);
    }

    /// <summary>Brings the state back and gives the values that were saved with it.</summary>
    /// <exception cref="CheckpointException">
    /// The file is damaged, no training state, or one of another model; nothing has been changed.
    /// </exception>
    public StateValues Load(string path)
    {
        using StateDict state = Checkpoint.Open(path);
        CheckFormat(path, state);
        (string Name, Tensor Tensor)[] tensors = [.. Tensors()];
        CheckTensors(path, state, tensors);
        foreach ((string name, Tensor tensor) in tensors) gpu.Upload(state[name].ToBytes(), tensor);
        state[StepsName].Read(0, MemoryMarshal.AsBytes(optimizer.Steps.AsSpan()));
        if (optimizer.Parameters.Copies is Tensor copies)
            Ops.Elementwise.Cast(gpu, optimizer.Parameters.Masters!.Value, copies);
        return new StateValues(state.Metadata.Where(v => v.Key.StartsWith(ValuePrefix, StringComparison.Ordinal))
            .Select(v => KeyValuePair.Create(v.Key[ValuePrefix.Length..], (string)v.Value!)));
    }

    IEnumerable<(string Name, Tensor Tensor)> Tensors()
    {
        foreach ((string prefix, Tensor flat) in new[]
        {
            ("parameter.", optimizer.Parameters.Masters!.Value), ("first_moment.", optimizer.FirstMoments),
            ("second_moment.", optimizer.SecondMoments),
        })
        {
            foreach (TrainedRange range in optimizer.Layout.Ranges)
                yield return (prefix + range.Name, TrainedLayout.Part(flat, range));
        }
        foreach ((string name, Tensor tensor) in optimizer.Parameters.All)
        {
            bool isAlso = optimizer.Layout.Find(name) is null && changes?.Invoke(name) == true;
            if (isAlso) yield return ("also." + name, tensor);
        }
    }

    static void CheckFormat(string path, StateDict state)
    {
        if (!state.Metadata.TryGetValue(KindName, out object? kind) || kind as string != Kind)
        {
            throw new CheckpointException(CheckpointError.UnknownFormat,
                $"{path} is not a training state of this version; start the run anew or name another file");
        }
        if (!state.Metadata.TryGetValue(ChecksumName, out object? sum) || sum as string != Checksum(state))
        {
            throw new CheckpointException(CheckpointError.IncompleteData,
                $"{path} is damaged: its content does not agree with its checksum; use an earlier state");
        }
    }

    void CheckTensors(string path, StateDict state, (string Name, Tensor Tensor)[] tensors)
    {
        HashSet<string> wanted = [StepsName, .. tensors.Select(t => t.Name)];
        List<string> wrong = [.. state.Names.Where(n => !wanted.Contains(n)).Select(n => $"{n} is not in the model")];
        foreach ((string name, Tensor tensor) in tensors)
        {
            if (!state.TryGet(name, out TensorEntry? entry)) wrong.Add($"{name} is missing");
            else if (!entry.Sizes.SequenceEqual(Sizes(tensor.Shape)) || entry.Bytes != tensor.Bytes)
                wrong.Add($"{name} is {entry}, the model's is {tensor}");
        }
        if (!state.TryGet(StepsName, out TensorEntry? steps) || steps.Bytes != 8L * optimizer.Steps.Length)
            wrong.Add($"{StepsName} are not those of {optimizer.Steps.Length} parameters");
        if (wrong.Count == 0) return;
        string more = wrong.Count > 3 ? $" and {wrong.Count - 3} more" : "";
        throw new CheckpointException(CheckpointError.KeysDiffer,
            $"{path} is the training state of another model: {string.Join("; ", wrong.Take(3))}{more}");
    }

    // Of all tensors' names and bytes in order of their names, and all values.
    static string Checksum(StateDict state)
    {
        uint crc = uint.MaxValue;
        foreach (TensorEntry entry in state.OrderBy(e => e.Name, StringComparer.Ordinal))
        {
            crc = Crc32.Update(crc, Encoding.UTF8.GetBytes($"{entry.Name} {entry}\n"));
            crc = Crc32.Update(crc, entry.ToBytes());
        }
        foreach ((string name, object? value) in state.Metadata.OrderBy(v => v.Key, StringComparer.Ordinal))
            if (name != ChecksumName) crc = Crc32.Update(crc, Encoding.UTF8.GetBytes($"{name} {value}\n"));
        return (~crc).ToString("x8", CultureInfo.InvariantCulture);
    }

    static long[] Sizes(Shape shape)
    {
        long[] sizes = new long[shape.Rank];
        for (int axis = 0; axis < sizes.Length; axis++) sizes[axis] = shape[axis];
        return sizes;
    }
}
