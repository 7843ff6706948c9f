// One element of a memory access: how a value of each width lies in memory and in a register. A register of up to 32
// bits is 32 lanes x 4 bytes, one of 64 bits 32 lanes x 8 bytes. The Row methods move 32 consecutive elements.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>Types of memory accesses, in the order of the patterns' groups.</summary>
internal enum ElementType { B8, S8, B16, S16, B32, B64 }

internal unsafe interface IElement
{
    static abstract int Size { get; }
    static abstract void Load(byte* p, byte* register, int lane);
    static abstract void LoadRow(byte* p, byte* register);
    static abstract void LoadAll(byte* p, byte* register); // every lane the same element
    static abstract void Store(byte* register, int lane, byte* p);
    static abstract void StoreRow(byte* register, byte* p);
}

internal static unsafe class ElementRow
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* register, uint value)
    {
        U32 all = Vector512.Create(value);
        all.Store((uint*)register);
        all.Store((uint*)register + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(byte* from, byte* to, int bytes)
    {
        for (int i = 0; i < bytes; i += 64)
            Vector512.Load(from + i).Store(to + i);
    }
}

internal readonly unsafe struct B8 : IElement
{
    public static int Size => 1;
    public static void Load(byte* p, byte* register, int lane) => ((uint*)register)[lane] = *p;
    public static void LoadAll(byte* p, byte* register) => ElementRow.Fill(register, *p);
    public static void Store(byte* register, int lane, byte* p) => *p = (byte)((uint*)register)[lane];

    public static void LoadRow(byte* p, byte* register)
    {
        (Vector256<ushort> low, Vector256<ushort> high) = Vector256.Widen(Vector256.Load(p));
        Vector512<ushort> all = Vector512.Create(low, high);
        Vector512.WidenLower(all).Store((uint*)register);
        Vector512.WidenUpper(all).Store((uint*)register + 16);
    }

    public static void StoreRow(byte* register, byte* p)
    {
        Vector512<ushort> all = Vector512.Narrow(Vector512.Load((uint*)register), Vector512.Load((uint*)register + 16));
        Vector256.Narrow(all.GetLower(), all.GetUpper()).Store(p);
    }
}

internal readonly unsafe struct S8 : IElement
{
    public static int Size => 1;
    public static void Load(byte* p, byte* register, int lane) => ((int*)register)[lane] = *(sbyte*)p;
    public static void LoadAll(byte* p, byte* register) => ElementRow.Fill(register, (uint)*(sbyte*)p);
    public static void Store(byte* register, int lane, byte* p) => B8.Store(register, lane, p);
    public static void StoreRow(byte* register, byte* p) => B8.StoreRow(register, p);

    public static void LoadRow(byte* p, byte* register)
    {
        for (int lane = 0; lane < 32; lane++)
            Load(p + lane, register, lane);
    }
}

internal readonly unsafe struct B16 : IElement
{
    public static int Size => 2;
    public static void Load(byte* p, byte* register, int lane) => ((uint*)register)[lane] = *(ushort*)p;
    public static void LoadAll(byte* p, byte* register) => ElementRow.Fill(register, *(ushort*)p);
    public static void Store(byte* register, int lane, byte* p) => *(ushort*)p = (ushort)((uint*)register)[lane];

    public static void LoadRow(byte* p, byte* register)
    {
        Vector512<ushort> all = Vector512.Load((ushort*)p);
        Vector512.WidenLower(all).Store((uint*)register);
        Vector512.WidenUpper(all).Store((uint*)register + 16);
    }

    public static void StoreRow(byte* register, byte* p) =>
        Vector512.Narrow(Vector512.Load((uint*)register), Vector512.Load((uint*)register + 16)).Store((ushort*)p);
}

internal readonly unsafe struct S16 : IElement
{
    public static int Size => 2;
    public static void Load(byte* p, byte* register, int lane) => ((int*)register)[lane] = *(short*)p;
    public static void LoadAll(byte* p, byte* register) => ElementRow.Fill(register, (uint)*(short*)p);
    public static void Store(byte* register, int lane, byte* p) => B16.Store(register, lane, p);
    public static void StoreRow(byte* register, byte* p) => B16.StoreRow(register, p);

    public static void LoadRow(byte* p, byte* register)
    {
        Vector512<short> all = Vector512.Load((short*)p);
        Vector512.WidenLower(all).Store((int*)register);
        Vector512.WidenUpper(all).Store((int*)register + 16);
    }
}

internal readonly unsafe struct B32 : IElement
{
    public static int Size => 4;
    public static void Load(byte* p, byte* register, int lane) => ((uint*)register)[lane] = *(uint*)p;
    public static void LoadRow(byte* p, byte* register) => ElementRow.Copy(p, register, 128);
    public static void LoadAll(byte* p, byte* register) => ElementRow.Fill(register, *(uint*)p);
    public static void Store(byte* register, int lane, byte* p) => *(uint*)p = ((uint*)register)[lane];
    public static void StoreRow(byte* register, byte* p) => ElementRow.Copy(register, p, 128);
}

internal readonly unsafe struct B64 : IElement
{
    public static int Size => 8;
    public static void Load(byte* p, byte* register, int lane) => ((ulong*)register)[lane] = *(ulong*)p;
    public static void LoadRow(byte* p, byte* register) => ElementRow.Copy(p, register, 256);
    public static void Store(byte* register, int lane, byte* p) => *(ulong*)p = ((ulong*)register)[lane];
    public static void StoreRow(byte* register, byte* p) => ElementRow.Copy(register, p, 256);

    public static void LoadAll(byte* p, byte* register)
    {
        U64 all = Vector512.Create(*(ulong*)p);
        for (int i = 0; i < 4; i++)
            all.Store((ulong*)register + 8 * i);
    }
}
