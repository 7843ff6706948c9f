// Runs a lane method on columns of numbers, found by its key as the builder finds it.
using System.Reflection;
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Lanes;
using U32 = System.Runtime.Intrinsics.Vector512<uint>;
using U64 = System.Runtime.Intrinsics.Vector512<ulong>;
using H32 = System.Runtime.Intrinsics.Vector256<uint>;

namespace EpSam.VirtualGpu.Tests.Lanes;

internal static class FloatLane
{
    /// <summary>Applies the instruction to each row of the operand columns. A predicate result is 0 or 1.</summary>
    public static ulong[] Run(string key, params ulong[][] operands)
    {
        Assert.That(LaneTable.TryLane(key, out LaneMethod? found), $"no lane method for {key}");
        MethodInfo method = found!.Method;
        Type[] types = [.. method.GetParameters().Select(p => p.ParameterType), method.ReturnType];
        int width = types.Any(t => t == typeof(U64) || t == typeof(H32)) ? 8 : 16;
        var results = new ulong[operands[0].Length];
        var arguments = new object[types.Length - 1];
        for (int i = 0; i < found.Choices.Length; i++) arguments[operands.Length + i] = found.Choices[i];
        for (int start = 0; start < results.Length; start += width)
        {
            for (int i = 0; i < operands.Length; i++) arguments[i] = Pack(types[i], operands[i], start);
            Unpack(method.Invoke(null, arguments)!, results, start);
        }
        return results;
    }

    static object Pack(Type type, ulong[] column, int start)
    {
        ulong At(int i) => start + i < column.Length ? column[start + i] : 0;
        if (type == typeof(U64)) return Vector512.Create(At(0), At(1), At(2), At(3), At(4), At(5), At(6), At(7));
        var lanes = new uint[16];
        for (int i = 0; i < 16; i++) lanes[i] = (uint)At(i);
        return type == typeof(H32) ? Vector256.Create(lanes.AsSpan(0, 8)) : Vector512.Create(lanes);
    }

    static void Unpack(object value, ulong[] results, int start)
    {
        int count = Math.Min(results.Length - start, 16);
        for (int i = 0; i < count; i++)
        {
            switch (value)
            {
                case U32 lanes: results[start + i] = lanes[i]; break;
                case H32 lanes: if (i < 8) results[start + i] = lanes[i]; break;
                case U64 lanes: if (i < 8) results[start + i] = lanes[i]; break;
                // Later rows of an 8-wide predicate are overwritten by their own run.
                case uint bits: results[start + i] = bits >> i & 1; break;
                default: throw new InvalidOperationException(value.GetType().ToString());
            }
        }
    }

    /// <summary>All pairs of two columns.</summary>
    public static (ulong[] A, ulong[] B) Cross(ulong[] a, ulong[] b) =>
        ([.. a.SelectMany(x => Enumerable.Repeat(x, b.Length))], [.. a.SelectMany(_ => b)]);

    /// <summary>Compares row by row; a NaN expected is any NaN unless <paramref name="exactNaN"/>.</summary>
    public static void Check(
        string key, Format result, Func<int, ulong> expected, bool exactNaN, params ulong[][] operands)
    {
        ulong[] actual = Run(key, operands);
        var wrong = new List<string>();
        for (int i = 0; i < actual.Length && wrong.Count < 5; i++)
        {
            ulong e = expected(i);
            bool areNaN = result.IsNaN(e) && result.IsNaN(actual[i]) && actual[i] <= (result.Sign << 1) - 1;
            if (actual[i] == e || !exactNaN && areNaN) continue;
            string sources = string.Join(", ", operands.Select(o => $"0x{o[i]:x}"));
            wrong.Add($"{key}({sources}) = 0x{actual[i]:x}, expected 0x{e:x}");
        }
        Assert.That(wrong, Is.Empty, string.Join("\n", wrong));
    }
}
