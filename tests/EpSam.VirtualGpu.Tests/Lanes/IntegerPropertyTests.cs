// Every integer, bit, compare and select key against IntegerReference: all pairs of edge values, and random ones.
// Values are 64 bits whatever the type, so that narrow operands come with rubbish above them. Scalar methods run the
// same rows.
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Lanes;

public sealed class IntegerPropertyTests
{
    static readonly ulong[] few =
    [
        0, 1, 3, 31, 32, 64, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x8000_0000_0000_0000, ulong.MaxValue,
        0x8001_7ffe_8001_7ffe,
    ];

    static readonly ulong[] many =
    [
        .. few, 2, 7, 8, 15, 16, 17, 30, 33, 63, 65, 127, 128, 255, 256, 0x7f_ffff, 0x80_0000, 0xff_ffff, 0x7fff,
        0x8000, 0xffff, 0x1_0000, 0x8000_8000, 0x1_0000_0000, 0x7fff_ffff_ffff_ffff, 0xffff_ffff_0000_0000,
        0x1234_5678_9abc_def0, 0xfedc_ba98_7654_3210, 0x80ff_7f01_01ff_807f, 0xdead_beef_3f80_0000,
    ];

    static readonly Type[] classes =
    [
        typeof(Integer), typeof(IntegerDivide), typeof(IntegerCarry), typeof(IntegerDot), typeof(Bits),
        typeof(BitsCount), typeof(Predicate),
    ];

    static IEnumerable<string> LaneKeys() =>
        LaneTable.LaneKeys.Where(e => classes.Contains(e.Value.Method.DeclaringType)).Select(e => e.Key).Order();

    static IEnumerable<string> ScalarKeys() => LaneTable.ScalarKeys
        .Where(e => e.Value.Method.DeclaringType is Type t && (t == typeof(Scalar) || t == typeof(ScalarCompare)))
        .Select(e => e.Key).Order();

    static IEnumerable<string> AllScalarKeys() => LaneTable.ScalarKeys.Keys.Order();

    static List<ulong[]> Inputs(string key)
    {
        int operands = LaneRunner.OperandCount(key);
        var random = new Random(key.Aggregate(17, (hash, c) => hash * 31 + c));
        ulong[] edges = operands <= 2 ? many : few;
        var rows = new List<ulong[]>();
        int combinations = (int)Math.Pow(edges.Length, Math.Min(operands, 3));
        for (int i = 0; i < combinations; i++)
        {
            var row = new ulong[operands];
            for (int k = 0, rest = i; k < operands; k++, rest /= edges.Length)
                row[k] = k < 3 ? edges[rest % edges.Length] : Any(random);
            rows.Add(row);
        }
        for (int i = 0; i < 1000; i++) rows.Add([.. Enumerable.Range(0, operands).Select(_ => Any(random))]);
        // Immediates come one a call: keep them few so that lanes fill up.
        if (key.StartsWith("lop3")) foreach (ulong[] row in rows) row[3] %= 256;
        return rows;
    }

    static ulong Any(Random random)
    {
        ulong bits = (ulong)random.NextInt64(long.MinValue, long.MaxValue);
        return random.Next(4) switch
        {
            0 => many[random.Next(many.Length)],
            1 => bits & 127,
            2 => bits | 0xffff_ffff_ffff_ff00,
            _ => bits,
        };
    }

    [TestCaseSource(nameof(LaneKeys))]
    public void LanesGiveTheReference(string key)
    {
        List<ulong[]> rows = Inputs(key);
        ulong[] results = LaneRunner.Lane(key, rows), moved = LaneRunner.Lane(key, rows, shift: 5);
        for (int i = 0; i < rows.Count; i++)
        {
            ulong? expected = IntegerReference.Evaluate(key, rows[i]);
            if (expected == results[i] && expected == moved[i]) continue;
            Assert.Fail($"{key} {Hex(rows[i])} = {results[i]:x} and, 5 lanes on, {moved[i]:x}; expected {expected:x}");
        }
    }

    [TestCaseSource(nameof(ScalarKeys))]
    public void ScalarsGiveTheReference(string key)
    {
        foreach (ulong[] row in Inputs(key))
        {
            ulong actual = LaneRunner.Scalar(key, row);
            ulong? expected = IntegerReference.Evaluate(key, row);
            if (expected != actual) Assert.Fail($"{key} {Hex(row)} = {actual:x}; expected {expected:x}");
        }
    }

    [TestCaseSource(nameof(AllScalarKeys))]
    public void ScalarsHaveALaneTwinWithTheSameResults(string key)
    {
        Assert.That(LaneTable.TryLane(key, out _), Is.True, "no lane method");
        List<ulong[]> rows = Inputs(key);
        ulong[] results = LaneRunner.Lane(key, rows);
        for (int i = 0; i < rows.Count; i++)
        {
            ulong scalar = LaneRunner.Scalar(key, rows[i]);
            if (scalar != results[i]) Assert.Fail($"{key} {Hex(rows[i])}: lanes {results[i]:x}, scalar {scalar:x}");
        }
    }

    static string Hex(ulong[] row) => string.Join(' ', row.Select(x => x.ToString("x")));
}
