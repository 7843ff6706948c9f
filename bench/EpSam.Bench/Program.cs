// bench vgpu [GROUP…] [--threads N]: the virtual GPU's speed beside this machine's ceilings.
// bench ops [NAME…] [--threads N]: one line for each case of each op.
// bench encoder [MODEL] [--precision bf16|fp32] [--runs N] [--threads N]: SAM's image encoder, kernel by kernel.
// bench train decoder|classifier [--precision bf16|fp32] [--recompute nothing|norms|blocks] [--batch N] [--runs N]
//       [--threads N]: a training step of EP-SAM, kernel by kernel.
// bench peers [NAME…] [--rounds N] [--threads N] [--by-head]: that encoder beside PyTorch and ONNX Runtime.
// bench peers --train [decoder] [classifier] [--rounds N] [--threads N]: those training steps beside PyTorch's.
using System.Globalization;
using EpSam.Bench;
using EpSam.Bench.Peers;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Tensors;

const string Usage = "usage: bench vgpu [GROUP...] [--threads N] | bench ops [NAME...] [--threads N] | "
    + "bench encoder [vit_b|vit_l|vit_h] [--precision bf16|fp32] [--runs N] [--threads N] | "
    + "bench train decoder|classifier [--precision bf16|fp32] [--recompute nothing|norms|blocks] [--batch N] "
    + "[--runs N] [--threads N] | "
    + "bench peers [NAME...] [--rounds N] [--threads N] [--by-head] | "
    + "bench peers --train [decoder] [classifier] [--rounds N] [--threads N]";
if (args.FirstOrDefault() == "peer-ours") return OurPeer.Run(args[1..]); // one of the processes of bench peers
if (args.FirstOrDefault() == "peer-train") return TrainPeer.Run(args[1..]);
int threads = args.FirstOrDefault() == "peers" ? 2 : Environment.ProcessorCount, runs = 3, rounds = 3;
int batch = 0;
bool byHead = false, train = false;
DType precision = DType.BF16;
Recompute recompute = new ResNetAdlConfig().Recompute;
List<string> only = [];
for (int i = 1; i < args.Length; i++)
{
    bool good = args[i] switch
    {
        "--threads" => IsCount(args.ElementAtOrDefault(++i), out threads),
        "--runs" => IsCount(args.ElementAtOrDefault(++i), out runs),
        "--rounds" => IsCount(args.ElementAtOrDefault(++i), out rounds),
        "--batch" => IsCount(args.ElementAtOrDefault(++i), out batch),
        "--recompute" => Enum.TryParse(args.ElementAtOrDefault(++i), ignoreCase: true, out recompute),
        "--by-head" => byHead = true,
        "--train" => train = true,
        "--precision" => IsPrecision(args.ElementAtOrDefault(++i), out precision),
        _ => IsName(args[i]),
    };
    if (!good)
    {
        Console.Error.WriteLine($"bench: unknown option {args[Math.Min(i, args.Length - 1)]}\n{Usage}");
        return 2;
    }
}
switch (args.FirstOrDefault())
{
    case "vgpu":
        return new VgpuBench(threads).Run(only);
    case "ops":
        return new OpsBench(threads).Run(only);
    case "encoder":
        return new EncoderBench(threads).Run(precision, only.FirstOrDefault("vit_b"), runs);
    case "train" when only is [TrainSetup.Decoder or TrainSetup.Classifier]:
        TrainSetup setup = new(only[0], precision) { Recompute = recompute };
        return new TrainBench(threads).Run(batch == 0 ? setup : setup with { Batch = batch }, runs);
    case "peers" when train:
        return new TrainPeers(threads, rounds).Run(only);
    case "peers":
        return new PeersBench(threads, rounds, byHead).Run(only);
    default:
        Console.Error.WriteLine(Usage);
        return 2;
}

bool IsName(string text)
{
    if (text.StartsWith('-')) return false;
    only.Add(text);
    return true;
}

static bool IsCount(string? text, out int count) =>
    int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) && count > 0;

static bool IsPrecision(string? text, out DType type)
{
    type = text == "fp32" ? DType.F32 : DType.BF16;
    return text is "fp32" or "bf16";
}
