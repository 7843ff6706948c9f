// The emitted code against the interpreter: bit for bit the same memory after thousands of random kernels.
// EPSAM_KERNELS says how many; continuous integration takes ten thousand.
using System.Globalization;
using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ptx;
using Program = EpSam.VirtualGpu.Exec.Program;

namespace EpSam.VirtualGpu.Tests.Exec;

internal sealed unsafe class GeneratedKernelTests
{
    const int Blocks = 2, KernelsInTheSuite = 2_000;

    [Test]
    public void Emitted_ThreeHundredKernels_EqualInterpreted() => Compare(0, 300, CheckFlags.None);

    [Test]
    public void Emitted_WithChecks_EqualInterpreted() =>
        Compare(300, 200, CheckFlags.Bounds | CheckFlags.Alignment | CheckFlags.Races);

    [Test, Category("Slow")]
    public void Emitted_ThousandsOfKernels_EqualInterpreted() =>
        Compare(500, int.Parse(Environment.GetEnvironmentVariable("EPSAM_KERNELS") ?? $"{KernelsInTheSuite}",
            CultureInfo.InvariantCulture), CheckFlags.None);

    static void Compare(int firstSeed, int count, CheckFlags checks) =>
        Parallel.For(firstSeed, firstSeed + count, () => new Bench(), (seed, _, bench) =>
        {
            string ptx = new KernelGenerator(seed).Module();
            PtxModule module = Parser.Parse(ptx);
            Program program = Program.Build(module, module.Find("k")!, new Dictionary<string, ulong>());
            int threads = 32 + seed * 7 % 65;
            byte[] emitted = bench.Run(program, threads, interpret: false, checks);
            byte[] interpreted = bench.Run(program, threads, interpret: true, checks);
            if (!emitted.AsSpan().SequenceEqual(interpreted))
            {
                int at = emitted.AsSpan().CommonPrefixLength(interpreted);
                throw new AssertionException(
                    $"seed {seed}: thread {at / KernelGenerator.OutputBytes} differs at " +
                    $"byte {at % KernelGenerator.OutputBytes}\n{ptx}\n{program.Kernel.Dump()}");
            }
            return bench;
        }, bench => bench.Dispose());

    /// <summary>Device memory for one thread of the test.</summary>
    sealed class Bench : IDisposable
    {
        readonly Heap heap = new(1 << 24, CheckFlags.None);
        readonly ulong input, output;
        const int OutputSize = Blocks * 128 * KernelGenerator.OutputBytes;

        public Bench()
        {
            input = heap.Allocate(KernelGenerator.InputBytes, "input");
            output = heap.Allocate(OutputSize, "output");
            Span<uint> values =
                MemoryMarshal.Cast<byte, uint>(
                    new Span<byte>(AddressSpace.ToHost(input), KernelGenerator.InputBytes));
            Random random = new(1);
            float[] special = [0f, -0f, 1f, -1.5f, float.NaN, float.PositiveInfinity, 1e-40f, 3.4e38f, 2.5f, -7f];
            for (int i = 0; i < values.Length; i++)
                values[i] = random.Next(3) switch
                {
                    0 => BitConverter.SingleToUInt32Bits(special[random.Next(special.Length)]),
                    1 => (uint)random.Next(-64, 64),
                    _ => (uint)random.NextInt64(1L << 32),
                };
        }

        public byte[] Run(Program program, int threads, bool interpret, CheckFlags checks)
        {
            new Span<byte>(AddressSpace.ToHost(output), OutputSize).Clear();
            byte[] parameters = new byte[16];
            BitConverter.TryWriteBytes(parameters, input);
            BitConverter.TryWriteBytes(parameters.AsSpan(8), output);
            Grid.Launch(program, new Dim3(Blocks), new Dim3(threads), 0, parameters,
                new LaunchContext(heap, checks, "k"), new LaunchOptions(interpret, Workers: 1));
            return new Span<byte>(AddressSpace.ToHost(output), OutputSize).ToArray();
        }

        public void Dispose() => heap.Dispose();
    }
}
