// ld and st of every space, type and vector width, against a model that moves single bytes. Patterns of addresses
// include those with fast paths of their own (rows, one address) and near misses of them.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Memory;

public sealed unsafe class LoadStoreTests
{
    const int Bytes = 4096;
    static readonly string[] s_types = ["b8", "s8", "b16", "s16", "b32", "b64"];
    static readonly string[] s_patterns =
        ["row", "one", "stride2", "stride17", "reverse", "random", "nearlyRow", "nearlyOne", "groups", "unaligned"];
    static readonly uint[] s_masks = [uint.MaxValue, 0, 1, 0x8000_0000, 0x0000_FFFF, 0x5A5A_1234];

    static IEnumerable<string> Keys(string opcode, params string[] spaces) =>
        from space in spaces
        from vector in new[] { "", ".v2", ".v4" }
        from type in s_types
        where vector != ".v4" || type != "b64"
        select $"{opcode}.{space}{vector}.{type}";

    static IEnumerable<string> Loads => Keys("ld", "global", "const", "shared", "local", "param", "generic");
    static IEnumerable<string> Stores => Keys("st", "global", "shared", "local", "generic");

    [Test]
    public void Load_EveryPatternAndMask_MatchesModel([ValueSource(nameof(Loads))] string key, [Values] bool checks)
    {
        var random = new Random(key.Length * 31 + key[^1]);
        foreach (string pattern in s_patterns)
        {
            if (checks && pattern == "unaligned")
                continue;
            foreach (uint mask in s_masks)
                Load(key, pattern, mask, checks, random);
        }
    }

    [Test]
    public void Store_EveryPatternAndMask_MatchesModel([ValueSource(nameof(Stores))] string key, [Values] bool checks)
    {
        var random = new Random(key.Length * 31 + key[^1]);
        foreach (string pattern in s_patterns)
        {
            if (checks && pattern == "unaligned")
                continue;
            foreach (uint mask in s_masks)
                Store(key, pattern, mask, checks, random);
        }
    }

    static void Load(string key, string pattern, uint mask, bool checks, Random random)
    {
        (string space, int count, string type) = Parse(key);
        int size = Size(type);
        using MemoryRig rig = NewRig(checks);
        Range memory = Memory(rig, space);
        var contents = new byte[memory.Lanes][];
        for (int lane = 0; lane < memory.Lanes; lane++)
        {
            contents[lane] = new byte[memory.Bytes];
            random.NextBytes(contents[lane]);
            contents[lane].CopyTo(new Span<byte>(memory.Host(lane), memory.Bytes));
        }
        int[] offsets = Offsets(pattern, size * count, memory.Bytes, random);
        int[] address = Address(rig, memory, offsets, mask, random.Next(2) == 0);
        var registers = new int[count];
        for (int i = 0; i < count; i++)
            registers[i] = type == "b64" ? rig.W64(lane => 0xEEEE_EEEE_EEEE_EEEE) : rig.W32(lane => 0xEEEE_EEEE);
        rig.Warp->Active = mask;
        rig.Run(key, address, registers);
        for (int i = 0; i < count; i++)
        {
            for (int lane = 0; lane < 32; lane++)
            {
                ulong expected = type == "b64" ? 0xEEEE_EEEE_EEEE_EEEE : 0xEEEE_EEEE;
                if ((mask >> lane & 1) != 0)
                    expected = Decode(contents[memory.Lanes == 1 ? 0 : lane], offsets[lane] + i * size, type);
                ulong actual = type == "b64" ? rig.Get64(registers[i], lane) : rig.Get32(registers[i], lane);
                if (actual != expected)
                    Assert.Fail($"{key} {pattern} mask {mask:x}: register {i} lane {lane}: " +
                        $"{actual:x}, not {expected:x}");
            }
        }
    }

    static void Store(string key, string pattern, uint mask, bool checks, Random random)
    {
        (string space, int count, string type) = Parse(key);
        int size = Size(type);
        using MemoryRig rig = NewRig(checks);
        Range memory = Memory(rig, space);
        var contents = new byte[memory.Lanes][];
        for (int lane = 0; lane < memory.Lanes; lane++)
            contents[lane] = new Span<byte>(memory.Host(lane), memory.Bytes).ToArray();
        int[] offsets = Offsets(pattern, size * count, memory.Bytes, random);
        int[] address = Address(rig, memory, offsets, mask, random.Next(2) == 0);
        var registers = new int[count];
        for (int i = 0; i < count; i++)
            registers[i] = type == "b64"
                ? rig.W64(_ => (ulong)random.NextInt64())
                : rig.W32(_ => (uint)random.NextInt64());
        rig.Warp->Active = mask;
        rig.Run(key, address, registers);
        for (int lane = 0; lane < 32; lane++)
        {
            if ((mask >> lane & 1) == 0)
                continue;
            for (int i = 0; i < count * size; i++)
            {
                int r = registers[i / size];
                ulong value = type == "b64" ? rig.Get64(r, lane) : rig.Get32(r, lane);
                contents[memory.Lanes == 1 ? 0 : lane][offsets[lane] + i] = (byte)(value >> 8 * (i % size));
            }
        }
        for (int lane = 0; lane < memory.Lanes; lane++)
        {
            if (!contents[lane].AsSpan().SequenceEqual(new Span<byte>(memory.Host(lane), memory.Bytes)))
                Assert.Fail($"{key} {pattern} mask {mask:x}: memory differs");
        }
    }

    [Test]
    public void Load_SinkElements_AreDropped([Values("b32", "b64", "b16")] string type, [Values(2, 4)] int count)
    {
        if (type == "b64" && count == 4)
            return;
        using var rig = new MemoryRig();
        ulong a = rig.Device(Bytes, i => (byte)(i * 7));
        int size = Size(type), d = rig.W64();
        int[] registers = [-1, d, -1, -1];
        rig.Run($"ld.global.v{count}.{type}", rig.At(l => a + (ulong)(l * count * size)), registers[..count]);
        for (int lane = 0; lane < 32; lane++)
        {
            ulong expected = 0;
            for (int i = 0; i < size; i++)
                expected |= (ulong)(byte)((lane * count * size + size + i) * 7) << 8 * i;
            Assert.That(type == "b64" ? rig.Get64(d, lane) : rig.Get32(d, lane), Is.EqualTo(expected));
        }
    }

    [Test]
    public void Load_DestinationIsAddressRegister_Works([Values(0x0000_0F0Fu, uint.MaxValue)] uint mask)
    {
        using var rig = new MemoryRig();
        ulong a = rig.Device(Bytes, i => (byte)i);
        int[] address = rig.At(l => a + (ulong)((31 - l) * 8));
        rig.Warp->Active = mask;
        rig.Run("ld.global.b64", address, address[0]);
        rig.Run("ld.global.v2.b64", rig.At(l => a), rig.W64(), rig.W64());
        for (int lane = 0; lane < 32; lane++)
        {
            ulong at = a + (ulong)((31 - lane) * 8);
            Assert.That(rig.Get64(address[0], lane),
                Is.EqualTo((mask >> lane & 1) == 0 ? at : *(ulong*)AddressSpace.ToHost(at)));
        }
    }

    [Test]
    public void Load_WithoutAddressRegister_UsesOffset()
    {
        using var rig = new MemoryRig();
        *(uint*)(rig.Block->Param + 40) = 1234;
        int d = rig.W32();
        rig.Run("ld.param.b32", [-1, 40, 0], d);
        Assert.That(Enumerable.Range(0, 32).Select(l => rig.Get32(d, l)), Is.All.EqualTo(1234));
    }

    [Test]
    public void Generic_LanesMayMixSpaces([Values] bool checks)
    {
        using MemoryRig rig = NewRig(checks);
        ulong a = rig.Device(256, i => 0);
        for (int lane = 0; lane < 32; lane++)
        {
            ((uint*)AddressSpace.ToHost(a))[lane] = 1000 + (uint)lane;
            ((uint*)rig.Block->Shared)[lane] = 2000 + (uint)lane;
            *(uint*)(rig.Warp->Local + lane * rig.Warp->LocalBytes + 8) = 3000 + (uint)lane;
        }
        int d = rig.W32();
        int[] address = rig.At(l => (l % 3) switch
        {
            0 => a + (ulong)l * 4,
            1 => AddressSpace.SharedWindow + (ulong)l * 4,
            _ => AddressSpace.LocalWindow + 8,
        });
        rig.Run("ld.generic.b32", address, d);
        for (int lane = 0; lane < 32; lane++)
            Assert.That(rig.Get32(d, lane), Is.EqualTo(1000 * (lane % 3 + 1) + lane));
        rig.Run("st.generic.b32", address, rig.W32(l => (uint)(l * l)));
        rig.Run("ld.generic.b32", address, d);
        for (int lane = 0; lane < 32; lane++)
            Assert.That(rig.Get32(d, lane), Is.EqualTo(lane * lane));
    }

    [Test]
    public void Access_OutsideOfItsSpace_Faults([Values] bool checks, [Values] bool write,
        [Values("global", "shared", "local", "param", "generic")] string space)
    {
        if (write && space == "param")
            return;
        using MemoryRig rig = NewRig(checks);
        ulong inside = space is "global" or "generic" ? rig.Device(4096, _ => 0) : 0;
        ulong[] outside = space switch
        {
            "global" => [0, 4, AddressSpace.DeviceBase - 4, AddressSpace.DeviceBase + AddressSpace.Size - 2,
                AddressSpace.DeviceBase + AddressSpace.Size, ulong.MaxValue - 3, AddressSpace.SharedWindow],
            "generic" => [0, AddressSpace.SharedWindow + Bytes, AddressSpace.SharedWindow - 4,
                AddressSpace.LocalWindow + 256, ulong.MaxValue - 1, AddressSpace.DeviceBase - 1],
            "shared" => [Bytes, Bytes - 2, uint.MaxValue - 3, ulong.MaxValue - 3, 1UL << 32],
            "local" => [256, 254, 1UL << 40],
            _ => [512, 1UL << 40],
        };
        foreach (ulong bad in outside)
        {
            int value = rig.W32(_ => 0);
            int[] address = rig.At(l => l == 5 ? bad : inside);
            string key = $"{(write ? "st" : "ld")}.{space}.b32";
            KernelFault fault = Assert.Throws<KernelFault>(() => rig.Run(key, address, value));
            Assert.That(fault.Kind, Is.EqualTo(FaultKind.IllegalAddress).Or.EqualTo(FaultKind.OutOfBounds)
                .Or.EqualTo(checks ? FaultKind.Misaligned : FaultKind.OutOfBounds));
            Assert.That(fault.Line, Is.EqualTo(100));
            Assert.That(fault.Block, Is.EqualTo(new Dim3(3, 2, 1)));
            Assert.That(fault.Thread, Is.EqualTo(new Dim3(5, 0, 0)));
            Assert.That(fault.Detail, Does.StartWith(write ? "write of 4 bytes at" : "read of 4 bytes at"));
            rig.Warp->Active = ~(1u << 5);
            rig.Run(key, address, value); // an inactive lane may hold any address
            rig.Warp->Active = uint.MaxValue;
        }
    }

    [Test]
    public void SharedAddress_Of32Bits_WrapsAround()
    {
        using var rig = new MemoryRig();
        ((uint*)rig.Block->Shared)[1] = 77;
        int d = rig.W32();
        rig.Run("ld.shared.b32", rig.At32(_ => uint.MaxValue - 3, 8), d);
        Assert.That(rig.Get32(d, 9), Is.EqualTo(77));
    }

    static MemoryRig NewRig(bool checks) =>
        new(checks ? CheckFlags.Bounds | CheckFlags.Alignment : CheckFlags.None, sharedBytes: Bytes);

    readonly unsafe struct Range(ulong start, byte* host, int bytes, int lanes, bool wide)
    {
        public ulong Start => start;
        public int Bytes => bytes;
        public int Lanes => lanes; // 1, or 32 when each lane has memory of its own
        public bool Wide => wide;
        public byte* Host(int lane) => host + lane * bytes;
    }

    static Range Memory(MemoryRig rig, string space)
    {
        if (space is "global" or "const" or "generic")
        {
            ulong a = rig.Device(Bytes, _ => 0);
            return new Range(a, AddressSpace.ToHost(a), Bytes, 1, true);
        }
        return space switch
        {
            "shared" => new Range(0, rig.Block->Shared, Bytes, 1, false),
            "local" => new Range(0, rig.Warp->Local, rig.Warp->LocalBytes, 32, false),
            _ => new Range(0, rig.Block->Param, rig.Block->ParamBytes, 1, false),
        };
    }

    static int[] Address(MemoryRig rig, Range memory, int[] offsets, uint mask, bool wide)
    {
        const int Constant = -48; // half of the address in the instruction
        ulong Of(int lane) => (mask >> lane & 1) == 0
            ? 0xBAD0_BAD0_BAD0_BAD0
            : memory.Start + (ulong)(offsets[lane] - Constant);
        return wide || memory.Wide ? rig.At(Of, Constant) : rig.At32(l => (uint)Of(l), Constant);
    }

    static int[] Offsets(string pattern, int unit, int bytes, Random random)
    {
        int slots = bytes / unit;
        var r = new int[32];
        for (int lane = 0; lane < 32; lane++)
        {
            int slot = pattern switch
            {
                "row" or "unaligned" => lane,
                "one" => 3,
                "stride2" => 2 * lane,
                "stride17" => 17 * lane,
                "reverse" => 31 - lane,
                "nearlyRow" => lane == 30 ? 31 : lane == 31 ? 30 : lane,
                "nearlyOne" => lane == 17 ? 4 : 3,
                "groups" => lane / 8,
                _ => random.Next(slots),
            };
            r[lane] = slot % slots * unit;
            if (pattern == "unaligned" && r[lane] + unit < bytes)
                r[lane] += 1;
        }
        return r;
    }

    static (string Space, int Count, string Type) Parse(string key)
    {
        string[] parts = key.Split('.');
        return (parts[1], parts[2] == "v2" ? 2 : parts[2] == "v4" ? 4 : 1, parts[^1]);
    }

    static int Size(string type) => int.Parse(type[1..]) / 8;

    static ulong Decode(byte[] memory, int at, string type)
    {
        ulong value = 0;
        for (int i = 0; i < Size(type); i++)
            value |= (ulong)memory[at + i] << 8 * i;
        return type switch
        {
            "s8" => value >= 0x80 ? 0xFFFF_FF00 | value : value,
            "s16" => value >= 0x8000 ? 0xFFFF_0000 | value : value,
            _ => value,
        };
    }
}
