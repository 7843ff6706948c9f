// bench ops: one line for each case of each op, as the tests have them: checked against its reference in double, then
// timed. Large cases have slow references; name an op or a part of a case's name to see only those.
using System.Globalization;
using EpSam.Cases;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Bench;

internal sealed unsafe class OpsBench(int threads)
{
    double peak, copyRate;

    public int Run(IReadOnlyCollection<string> only)
    {
        bool IsWanted(OpCase c) => only.Count == 0 || only.Any(o => c.Name.Contains(o, StringComparison.Ordinal));
        OpCase[] cases = [.. AllCases.All.Where(IsWanted)];
        if (cases.Length == 0)
        {
            Console.Error.WriteLine($"bench: no case is named like {string.Join(", ", only)}");
            return 2;
        }
        Report report = new("Ops on the virtual GPU (CPU times)",
            ("case", 52), ("median", 12), ("spread", 7), ("GB/s", 8), ("of copy", 8), ("GFLOP/s", 9), ("of peak", 8));
        VirtualGpu.VirtualGpu device = VirtualGpu.VirtualGpu.Create(
            new VirtualGpuOptions { Checks = CheckFlags.None, Workers = threads });
        using Gpu gpu = new(device.Driver, device.Blas);
        (double perCore, _) = Ceilings.FmaPeak(threads);
        peak = perCore * threads;
        copyRate = CopyRate();
        int wrong = 0;
        foreach (OpCase test in cases)
            if (!Row(report, gpu, test)) wrong++;
        if (only.Count == 0 && wrong == 0) report.Save("ops");
        return wrong == 0 ? 0 : 1;
    }

    bool Row(Report report, Gpu gpu, OpCase test)
    {
        List<DeviceBuffer> buffers = [];
        Tensor Make(CaseTensor t)
        {
            buffers.Add(new DeviceBuffer(gpu, t.DType, t.Shape));
            return buffers[^1].Tensor;
        }
        try
        {
            double[][] inputs = test.MakeInputs();
            Tensor[] x = [.. test.Inputs.Select(Make)], y = [.. test.Outputs.Concat(test.Scratch).Select(Make)];
            for (int i = 0; i < x.Length; i++) gpu.Upload(Values.Encode(inputs[i], x[i].DType), x[i]);
            void Once()
            {
                test.Run(gpu, x, y);
                gpu.Synchronize();
            }
            Once();
            if (Verdict(gpu, test, inputs, y) is string verdict)
            {
                report.Add(test.Name, "WRONG", "", "", "", "", "");
                Console.Error.WriteLine($"{test.Name}: {verdict}");
                return false;
            }
            Timing timing = Measure.Run(Once, least: 5, seconds: 0.3, warmUp: 1);
            double bytes = test.Bytes / timing.Seconds, flops = test.Flops / timing.Seconds;
            report.Add(test.Name, $"{F(timing.Seconds * 1e6)} µs", P(timing.Spread), F(bytes / 1e9),
                P(bytes / (2 * copyRate)), F(flops / 1e9), P(flops / peak));
            return true;
        }
        finally
        {
            foreach (DeviceBuffer buffer in buffers) buffer.Dispose();
        }
    }

    static string? Verdict(Gpu gpu, OpCase test, double[][] inputs, Tensor[] outputs)
    {
        Expected[] expected = test.Reference(inputs);
        for (int i = 0; i < test.Outputs.Length; i++)
        {
            byte[] bytes = new byte[outputs[i].Bytes];
            gpu.Download(outputs[i], bytes);
            CaseTensor output = test.Outputs[i];
            double[] values = Values.Decode(bytes, output.DType);
            if (Tolerance.Judge(output.Name, output.Shape, expected[i], values) is string verdict) return verdict;
        }
        return null;
    }

    // Bytes copied a second; a copy reads and writes each once, as a case's Bytes count both.
    double CopyRate()
    {
        const int Bytes = 256 << 20;
        byte* a = (byte*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc(Bytes, 4096);
        byte* b = (byte*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc(Bytes, 4096);
        new Span<byte>(a, Bytes).Fill(1);
        Timing timing = Measure.Run(() => Ceilings.Copy(threads, a, b, Bytes));
        System.Runtime.InteropServices.NativeMemory.AlignedFree(a);
        System.Runtime.InteropServices.NativeMemory.AlignedFree(b);
        return Bytes / timing.Seconds;
    }

    static string F(double value) => value.ToString("F1", CultureInfo.InvariantCulture);

    static string P(double share) => (share * 100).ToString("F1", CultureInfo.InvariantCulture) + " %";
}
