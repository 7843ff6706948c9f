using EpSam.Bench;
int threads = Environment.ProcessorCount;
var peak = Ceilings.FmaPeak(threads);
Console.WriteLine($"{peak.PerCore/1e9:F1} GFLOP/s per core {peak.Timing.Spread:P1}");
unsafe {
 byte* a = (byte*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc((nuint)Ceilings.CopyBytes, 64), b = (byte*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc((nuint)Ceilings.CopyBytes, 64);
 new Span<byte>(a, (int)Ceilings.CopyBytes-1).Fill(1); new Span<byte>(b, (int)Ceilings.CopyBytes-1).Fill(2);
 var c = Ceilings.Copy(threads, a, b, Ceilings.CopyBytes);
 Console.WriteLine($"{c.BytesPerSecond/1e9:F1} GB/s {c.Timing.Spread:P1}");
 var blas = OpenBlas.TryLoad(threads)!; Console.WriteLine(blas.Version);
 var t = Measure.Run(() => blas.Linear(4096,768,3072,(float*)a,(float*)b,(float*)a+(100<<20)/4), 3, 0.5);
 Console.WriteLine($"{4096.0*768*3072*2/t.Seconds/1e9:F1} GFLOP/s");
}
