// Launching a kernel with typed arguments. A Tensor passes as its address, a long or int or float as itself; number and
// kinds are compared with the kernel's parameters. Nothing is allocated.
using System.Runtime.CompilerServices;
using EpSam.Cuda;
using EpSam.Native.Tensors;

namespace EpSam.Native.Runtime;

/// <summary>One argument of a kernel: eight bytes and which of them count.</summary>
internal readonly struct LaunchArgument
{
    LaunchArgument(ulong bits, char kind) => (Bits, Kind) = (bits, kind);

    public ulong Bits { get; }
    public char Kind { get; } // as in Kernel.Parameters

    public static implicit operator LaunchArgument(Tensor tensor) => new(tensor.Address.Value, 'l');
    // none: the null pointer
    public static implicit operator LaunchArgument(Tensor? tensor) => new(tensor?.Address.Value ?? 0, 'l');
    public static implicit operator LaunchArgument(long value) => new((ulong)value, 'l');
    public static implicit operator LaunchArgument(int value) => new((uint)value, 'i');
    public static implicit operator LaunchArgument(float value) => new(BitConverter.SingleToUInt32Bits(value), 'f');
}

/// <summary>Blocks of a launch.</summary>
internal readonly record struct LaunchGrid(long X, long Y = 1, long Z = 1);

/// <summary>Launches into a Gpu's stream.</summary>
internal static unsafe class Launch
{
    const int MaxParameters = 32;
    const long MaxX = int.MaxValue, MaxYZ = 65535;

    /// <summary>Launches without dynamic shared memory; an empty grid launches nothing.</summary>
    public static void Run(Gpu gpu, string name, LaunchGrid grid, int threads,
        params ReadOnlySpan<LaunchArgument> arguments)
    {
        Kernel kernel = gpu.Kernels.Get(name);
        CheckArguments(kernel, arguments);
        if (grid.X > MaxX || grid.Y > MaxYZ || grid.Z > MaxYZ)
            throw new ArgumentException(
                $"{name}: grid ({grid.X}, {grid.Y}, {grid.Z}) is beyond ({MaxX}, {MaxYZ}, {MaxYZ})");
        if (grid.X == 0 || grid.Y == 0 || grid.Z == 0) return;

        ulong* values = stackalloc ulong[MaxParameters];
        void** pointers = stackalloc void*[MaxParameters];
        for (int i = 0; i < arguments.Length; i++)
        {
            values[i] = arguments[i].Bits;
            pointers[i] = values + i;
        }
        CuDriver driver = gpu.Driver;
        driver.Check(
            driver.cuLaunchKernel(kernel.Function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)threads, 1, 1, 0,
                gpu.Stream, pointers, null),
            $"{name} grid ({grid.X}, {grid.Y}, {grid.Z}) block {threads}");
    }

    static void CheckArguments(Kernel kernel, ReadOnlySpan<LaunchArgument> arguments)
    {
        bool same = arguments.Length == kernel.Parameters.Length && arguments.Length <= MaxParameters;
        for (int i = 0; same && i < arguments.Length; i++) same = arguments[i].Kind == kernel.Parameters[i];
        if (!same) ThrowArguments(kernel, arguments);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void ThrowArguments(Kernel kernel, ReadOnlySpan<LaunchArgument> arguments)
    {
        string got = "";
        foreach (LaunchArgument argument in arguments) got += argument.Kind;
        throw new ArgumentException($"{kernel.Name}: parameters are '{kernel.Parameters}', got arguments '{got}' "
            + "(l = 64 bits or pointer, i = 32-bit integer, f = f32)");
    }
}
