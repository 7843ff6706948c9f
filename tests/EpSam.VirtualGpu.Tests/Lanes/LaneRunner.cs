// Calls lane and scalar methods by key, as the emitter would find them, on rows of plain ulong operands.
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Lanes;
using H32 = System.Runtime.Intrinsics.Vector256<uint>;
using U32 = System.Runtime.Intrinsics.Vector512<uint>;
using U64 = System.Runtime.Intrinsics.Vector512<ulong>;

namespace EpSam.VirtualGpu.Tests.Lanes;

internal static class LaneRunner
{
    /// <summary>The result of each row; row r runs in lane (r + shift) modulo the number of lanes.</summary>
    public static ulong[] Lane(string key, IReadOnlyList<ulong[]> rows, int shift = 0)
    {
        Assert.That(LaneTable.TryLane(key, out LaneMethod? method), Is.True, $"no lane method for {key}");
        Type[] types = Operands(method!);
        int lanes = types.Append(method!.Method.ReturnType).Any(t => t == typeof(U64)) ? 8 : 16;
        int immediate = Array.IndexOf(types, typeof(byte));
        var results = new ulong[rows.Count];
        // One call has one immediate, so rows with different ones go separately.
        foreach (var group in Enumerable.Range(0, rows.Count).GroupBy(r => immediate < 0 ? 0 : rows[r][immediate]))
        {
            int[] members = [.. group];
            for (int start = 0; start < members.Length; start += lanes)
            {
                int[] row = [.. Enumerable.Range(0, lanes).Select(lane =>
                    members[Math.Min(start + (lane - shift % lanes + lanes) % lanes, members.Length - 1)])];
                object?[] arguments = [.. types.Select((t, k) => Pack(t, [.. row.Select(r => rows[r][k])])),
                    .. method.Choices.Select(c => (object)c)];
                ulong[] values = Unpack(method.Method.Invoke(null, arguments)!, lanes);
                for (int lane = 0; lane < lanes; lane++) results[row[lane]] = values[lane];
            }
        }
        return results;
    }

    public static ulong Scalar(string key, ulong[] row)
    {
        Assert.That(LaneTable.TryScalar(key, out LaneMethod? method), Is.True, $"no scalar method for {key}");
        object?[] arguments = [.. Operands(method!).Select((t, k) => Pack(t, row[k])),
            .. method!.Choices.Select(c => (object)c)];
        return method.Method.Invoke(null, arguments) switch
        {
            bool p => p ? 1ul : 0,
            uint x => x,
            object x => (ulong)x,
            null => throw new InvalidOperationException(key),
        };
    }

    public static int OperandCount(string key) =>
        Operands(LaneTable.TryLane(key, out LaneMethod? lane) ? lane : LaneTable.ScalarKeys[key]).Length;

    static Type[] Operands(LaneMethod method) =>
        [.. method.Method.GetParameters().Select(p => p.ParameterType).Where(t => t != typeof(int))];

    static object Pack(Type type, ulong value)
    {
        if (type == typeof(bool)) return (value & 1) != 0;
        if (type == typeof(byte)) return (byte)value;
        return type == typeof(uint) ? (object)(uint)value : value;
    }

    static object Pack(Type type, ulong[] values)
    {
        if (type == typeof(U32)) return Vector512.Create(Array.ConvertAll(values, v => (uint)v));
        if (type == typeof(U64)) return Vector512.Create(values);
        if (type == typeof(H32)) return Vector256.Create(Array.ConvertAll(values, v => (uint)v));
        if (type == typeof(byte)) return (byte)values[0];
        uint bits = 0;
        for (int i = 0; i < values.Length; i++) bits |= (uint)(values[i] & 1) << i;
        return bits;
    }

    static ulong[] Unpack(object result, int lanes)
    {
        switch (result)
        {
            case U32 x: return [.. Enumerable.Range(0, 16).Select(i => (ulong)x[i])];
            case U64 x: return [.. Enumerable.Range(0, 8).Select(i => x[i])];
            case H32 x: return [.. Enumerable.Range(0, 8).Select(i => (ulong)x[i])];
            default:
                uint bits = (uint)result;
                Assert.That(bits >> (lanes - 1) >> 1, Is.Zero, "a predicate has bits beyond its lanes");
                return [.. Enumerable.Range(0, lanes).Select(i => (ulong)(bits >> i & 1))];
        }
    }
}
