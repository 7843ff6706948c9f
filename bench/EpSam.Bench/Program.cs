// bench vgpu [GROUP…] [--threads N]: the virtual GPU's speed beside this machine's ceilings.
// bench ops [NAME…] [--threads N]: one line for each case of each op.
using EpSam.Bench;

int threads = Environment.ProcessorCount;
List<string> only = [];
for (int i = 1; i < args.Length; i++)
{
    if (args[i] == "--threads" && i + 1 < args.Length && int.TryParse(args[++i], out threads) && threads > 0) continue;
    if (args[i].StartsWith('-'))
    {
        Console.Error.WriteLine($"bench: unknown option {args[i]}");
        return 2;
    }
    only.Add(args[i]);
}
switch (args.FirstOrDefault())
{
    case "vgpu":
        return new VgpuBench(threads).Run(only);
    case "ops":
        return new OpsBench(threads).Run(only);
    default:
        Console.Error.WriteLine("usage: bench vgpu [GROUP...] [--threads N] | bench ops [NAME...] [--threads N]");
        return 2;
}
