// What the checks remember of each warp of the running block beside the shadow of shared memory: how far every lane's
// asynchronous copies are, and which bytes of local memory have been written. A block runs on one thread, so the states
// are thread-static and found by the warp's number; Warp.Scratch, zero when a block starts, says if they are fresh.
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Checks;

internal sealed unsafe class WarpState
{
    /// <summary>One lane's cp.async groups. A group is known by how many were committed before it.</summary>
    public struct Lane
    {
        public int Committed;       // groups closed so far = number of the open one
        public int Completed;       // groups below this have been waited for
        public int Epoch, Sequence; // when Completed last grew
        public int BeforeEpoch;     // Completed before the first wait of that epoch
        public int BeforeSequence;  // Completed before the first wait since the last warp barrier

        public void Complete(int groups, int epoch, int sequence)
        {
            if (groups <= Completed)
                return;
            if (epoch != Epoch)
                BeforeEpoch = Completed;
            if (epoch != Epoch || sequence != Sequence)
                BeforeSequence = Completed;
            (Completed, Epoch, Sequence) = (groups, epoch, sequence);
        }
    }

    public readonly Lane[] Lanes = new Lane[32];
    byte[] _localWritten = [];

    [ThreadStatic] static WarpState?[]? t_states;

    public static WarpState Of(Warp* w)
    {
        WarpState?[] states = t_states ??= new WarpState?[32];
        WarpState state = states[w->Index] ??= new WarpState();
        if (w->Scratch == 0)
        {
            w->Scratch = 1;
            state.Reset(32 * w->LocalBytes);
        }
        return state;
    }

    /// <summary>State of another warp of the block, null if it has none yet.</summary>
    public static WarpState? Of(int warp) => t_states?[warp];

    /// <summary>Which of the local bytes of a lane have been written: 1 each.</summary>
    public Span<byte> LocalWritten(Warp* w, int lane, ulong offset, int bytes) =>
        _localWritten.AsSpan(lane * w->LocalBytes + (int)offset, bytes);

    void Reset(int localBytes)
    {
        Array.Clear(Lanes);
        for (int i = 0; i < 32; i++)
            Lanes[i].Epoch = -1;
        if (_localWritten.Length < localBytes)
            _localWritten = new byte[localBytes];
        else
            Array.Clear(_localWritten, 0, localBytes);
    }
}
