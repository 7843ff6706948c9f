// The table from instruction keys ("add.u32", "setp.lt.s32", "shfl.sync.bfly.b32") to the methods that execute them.
// It is made once by reflection over the static classes of this namespace: their [Ptx], [PtxScalar] and [PtxWarp]
// patterns are expanded to every spelling. An instruction is supported exactly when it is found here; nothing is
// guessed. A mistake in a pattern (two methods for one key, an index argument too many or too few) throws at first use.
using System.Diagnostics.CodeAnalysis;
using System.Reflection;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>The method of an instruction, and the values of its trailing int arguments, one per &lt;…&gt;.</summary>
internal sealed record LaneMethod(MethodInfo Method, int[] Choices);

internal static class LaneTable
{
    static readonly Lazy<Table> lazy = new(() => new Table(typeof(LaneTable).Assembly.GetTypes().Where(IsLaneClass)));

    public static IReadOnlyDictionary<string, LaneMethod> LaneKeys => lazy.Value.Lane;
    public static IReadOnlyDictionary<string, LaneMethod> ScalarKeys => lazy.Value.Scalar;
    public static IReadOnlyDictionary<string, LaneMethod> WarpKeys => lazy.Value.Warp;
    public static IReadOnlyDictionary<string, LaneMethod> CheckedWarpKeys => lazy.Value.CheckedWarp;

    public static bool TryLane(string key, [NotNullWhen(true)] out LaneMethod? method) =>
        lazy.Value.Lane.TryGetValue(key, out method);

    public static bool TryScalar(string key, [NotNullWhen(true)] out LaneMethod? method) =>
        lazy.Value.Scalar.TryGetValue(key, out method);

    /// <summary>The checked or the unchecked variant as asked for; where only one of them exists, that one.</summary>
    public static bool TryWarp(string key, bool checks, [NotNullWhen(true)] out LaneMethod? method)
    {
        Table table = lazy.Value;
        return checks
            ? table.CheckedWarp.TryGetValue(key, out method) || table.Warp.TryGetValue(key, out method)
            : table.Warp.TryGetValue(key, out method) || table.CheckedWarp.TryGetValue(key, out method);
    }

    /// <summary>The supported key that is spelled most like this one, with the same opcode if there is one.</summary>
    public static string Nearest(string key)
    {
        Table table = lazy.Value;
        string opcode = Opcode(key), nearest = "";
        int least = int.MaxValue;
        foreach (string candidate in table.Lane.Keys.Concat(table.Warp.Keys).Concat(table.CheckedWarp.Keys))
        {
            int distance = Distance(key, candidate) + (Opcode(candidate) == opcode ? 0 : 1000);
            // Ties go to the alphabetically first, so that messages do not depend on the order of reflection.
            if (distance > least || distance == least && string.CompareOrdinal(candidate, nearest) >= 0) continue;
            (least, nearest) = (distance, candidate);
        }
        return nearest;
    }

    /// <summary>All spellings of a pattern, each with the indices chosen in its &lt;…&gt;; groups may nest.</summary>
    internal static IEnumerable<(string Key, int[] Choices)> Expand(string pattern) => Expand(pattern, []);

    static IEnumerable<(string Key, int[] Choices)> Expand(string pattern, int[] choices)
    {
        int open = pattern.AsSpan().IndexOfAny('{', '<');
        if (open < 0) return [(pattern, choices)];
        (List<string> alternatives, int end) = Alternatives(pattern, open);
        return alternatives.SelectMany((alternative, index) => Expand(
            pattern[..open] + alternative + pattern[end..],
            pattern[open] == '<' ? [.. choices, index] : choices));
    }

    /// <summary>The alternatives of the group that opens here, and where the text goes on behind it.</summary>
    static (List<string> Alternatives, int End) Alternatives(string pattern, int open)
    {
        var alternatives = new List<string>();
        int depth = 0, start = open + 1;
        for (int i = open; i < pattern.Length; i++)
        {
            char c = pattern[i];
            if (c is '{' or '<') depth++;
            bool closes = c is '}' or '>' && --depth == 0;
            if (!closes && !(c == ',' && depth == 1)) continue;
            alternatives.Add(pattern[start..i]);
            start = i + 1;
            if (closes) return (alternatives, start);
        }
        throw new InvalidOperationException($"unclosed group in the pattern \"{pattern}\"");
    }

    static bool IsLaneClass(Type type) =>
        type is { IsAbstract: true, IsSealed: true, Namespace: "EpSam.VirtualGpu.Lanes" };

    static string Opcode(string key) => key.Split('.', 2)[0];

    static int Distance(string a, string b)   // Levenshtein
    {
        var row = new int[b.Length + 1];
        for (int j = 0; j <= b.Length; j++) row[j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.Length];
    }

    /// <summary>The four dictionaries; apart from <see cref="LaneTable"/> so that tests can make small ones.</summary>
    internal sealed class Table
    {
        public Dictionary<string, LaneMethod> Lane { get; } = [];
        public Dictionary<string, LaneMethod> Scalar { get; } = [];
        public Dictionary<string, LaneMethod> Warp { get; } = [];
        public Dictionary<string, LaneMethod> CheckedWarp { get; } = [];

        public Table(IEnumerable<Type> classes)
        {
            const BindingFlags All = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic
                | BindingFlags.DeclaredOnly;
            foreach (MethodInfo method in classes.SelectMany(type => type.GetMethods(All)))
            {
                foreach (object attribute in method.GetCustomAttributes(inherit: false))
                {
                    if (attribute is PtxAttribute lane) Add(Lane, lane.Pattern, method);
                    if (attribute is PtxScalarAttribute scalar) Add(Scalar, scalar.Pattern, method);
                    if (attribute is PtxWarpAttribute warp)
                        Add(warp.Checked ? CheckedWarp : Warp, warp.Pattern, method, indexArguments: false);
                }
            }
        }

        static void Add(
            Dictionary<string, LaneMethod> table, string pattern, MethodInfo method, bool indexArguments = true)
        {
            foreach ((string key, int[] choices) in Expand(pattern))
            {
                int taken = method.GetParameters().Count(p => p.ParameterType == typeof(int));
                if (indexArguments && taken != choices.Length)
                {
                    throw new InvalidOperationException(
                        $"{Name(method)} takes {taken} int arguments, but \"{pattern}\" has {choices.Length} <…>");
                }
                if (!table.TryAdd(key, new LaneMethod(method, choices)))
                {
                    throw new InvalidOperationException(
                        $"\"{key}\" is claimed by both {Name(table[key].Method)} and {Name(method)}");
                }
            }
        }

        static string Name(MethodInfo method) => $"{method.DeclaringType!.Name}.{method.Name}";
    }
}
