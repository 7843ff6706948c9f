// Kernels that were built from the texts seen last, for the whole process: the same PTX is often loaded again, by
// another context. NVIDIA's driver keeps such a cache too. Only texts without variables of their own are here, as the
// code has the addresses of variables in it; what a program has beside (code for each way of running) is made once for
// all.
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Driver;

/// <summary>A text that was parsed, and its entries as programs by name.</summary>
internal sealed record Code(PtxModule Ptx, IReadOnlyDictionary<string, Program> Programs);

/// <summary>The last texts that were loaded without an error.</summary>
internal static class CodeCache
{
    const int Most = 64; // texts: more than the library has kernel files

    static readonly Lock Gate = new();
    static readonly Dictionary<string, LinkedListNode<(string Text, Code Code)>> Known = [];
    static readonly LinkedList<(string Text, Code Code)> Order = new(); // the last used first

    public static Code? Find(string text)
    {
        lock (Gate)
        {
            if (!Known.TryGetValue(text, out LinkedListNode<(string Text, Code Code)>? node)) return null;
            Order.Remove(node);
            Order.AddFirst(node);
            return node.Value.Code;
        }
    }

    public static void Add(string text, Code code)
    {
        lock (Gate)
        {
            if (Known.ContainsKey(text)) return; // loaded twice at once: either will do
            Known.Add(text, Order.AddFirst((text, code)));
            if (Known.Count <= Most) return;
            Known.Remove(Order.Last!.Value.Text);
            Order.RemoveLast();
        }
    }
}
