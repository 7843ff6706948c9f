// bench vgpu: the virtual GPU's speed beside this machine's ceilings. Options: --threads N.
using EpSam.Bench;

int threads = Environment.ProcessorCount;
for (int i = 1; i < args.Length; i++)
{
    if (args[i] == "--threads" && i + 1 < args.Length && int.TryParse(args[++i], out threads) && threads > 0) continue;
    Console.Error.WriteLine($"bench: unknown option {args[i]}");
    return 2;
}
switch (args.FirstOrDefault())
{
    case "vgpu":
        return new VgpuBench(threads).Run();
    default:
        Console.Error.WriteLine("usage: bench vgpu [--threads N]");
        return 2;
}
