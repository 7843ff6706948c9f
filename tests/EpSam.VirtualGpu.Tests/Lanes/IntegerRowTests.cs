// Rows of instruction, operands and result worked out by hand from the PTX ISA 7.8. Each row runs in every lane
// position of the lane method and, where there is one, through the scalar method. Numbers are decimal or 0x; negative
// ones stand for their two's complement in the operand's width. Results are whole registers: 16-bit ones are
// zero-extended.
using System.Globalization;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Lanes;

public sealed class IntegerRowTests
{
    const string Rows = """
        // add, sub wrap; 16-bit ones ignore what is above their operands
        add.{u,s}32   0xffffffff 1                            = 0
        add.{u,s}32   0x7fffffff 1                            = 0x80000000
        add.{u,s}64   0xffffffff 1                            = 0x100000000
        add.{u,s}64   -1 1                                    = 0
        add.{u,s}16   0xffff 1                                = 0
        add.{u,s}16   0x7777fffe 0x11110001                   = 0xffff
        sub.{u,s}32   0 1                                     = 0xffffffff
        sub.{u,s}64   0 1                                     = 0xffffffffffffffff
        sub.{u,s}16   0 1                                     = 0xffff
        add.sat.s32   0x7fffffff 1                            = 0x7fffffff
        add.sat.s32   0x80000000 -1                           = 0x80000000
        add.sat.s32   0x80000000 0x7fffffff                   = 0xffffffff
        add.sat.s32   0x40000000 0x3fffffff                   = 0x7fffffff
        sub.sat.s32   0x80000000 1                            = 0x80000000
        sub.sat.s32   0x7fffffff -1                           = 0x7fffffff
        sub.sat.s32   0 0x80000000                            = 0x7fffffff
        sub.sat.s32   -1 0x80000000                           = 0x7fffffff

        // mul, mad: -1 is 2^n - 1 when unsigned, so (-1)·(-1) = 2^2n - 2^(n+1) + 1
        mul.lo.{u,s}16  0x100 0x100                           = 0
        mul.lo.{u,s}32  0x10001 0xffff                        = 0xffffffff
        mul.lo.{u,s}64  -1 -1                                 = 1
        mul.hi.u16    0xffff 0xffff                           = 0xfffe
        mul.hi.s16    0xffff 0xffff                           = 0
        mul.hi.s16    0x8000 2                                = 0xffff
        mul.hi.s16    0x8000 0x8000                           = 0x4000
        mul.hi.u32    -1 -1                                   = 0xfffffffe
        mul.hi.s32    -1 -1                                   = 0
        mul.hi.s32    0x80000000 0x80000000                   = 0x40000000
        mul.hi.s32    0x80000000 1                            = 0xffffffff
        mul.hi.u64    -1 -1                                   = 0xfffffffffffffffe
        mul.hi.s64    -1 -1                                   = 0
        mul.hi.s64    0x8000000000000000 0x8000000000000000   = 0x4000000000000000
        mul.hi.u64    0x100000000 0x100000000                 = 1
        mul.wide.u16  0xffff 0xffff                           = 0xfffe0001
        mul.wide.s16  0xffff 2                                = 0xfffffffe
        mul.wide.u32  -1 -1                                   = 0xfffffffe00000001
        mul.wide.s32  -1 2                                    = 0xfffffffffffffffe
        mul.wide.s32  0x80000000 0x80000000                   = 0x4000000000000000
        mad.lo.{u,s}32  0x10000 0x10000 7                     = 7
        mad.lo.{u,s}16  0xff 0x101 1                          = 0
        mad.lo.{u,s}64  -1 5 6                                = 1
        mad.hi.u32    -1 -1 2                                 = 0
        mad.hi.s32    -1 1 0                                  = 0xffffffff
        mad.hi.sat.s32  0x80000000 0x80000000 0x40000000      = 0x7fffffff
        mad.hi.sat.s32  0x7fffffff 0x80000000 0x80000000      = 0x80000000
        mad.wide.u32  -1 -1 0xffffffff                        = 0xffffffff00000000
        mad.wide.s32  -1 1 1                                  = 0
        mad.wide.u16  0xffff 0xffff 0x1ffff                   = 0
        mul24.lo.u32  0xff000010 0x55000010                   = 0x100
        mul24.hi.u32  0xffffff 0xffffff                       = 0xfffffe00
        mul24.lo.s32  0xffffff 2                              = 0xfffffffe
        mul24.hi.s32  0x800000 0x800000                       = 0x40000000
        mul24.hi.s32  0xffffff 1                              = 0xffffffff
        mad24.lo.u32  0xffffff 1 1                            = 0x1000000
        mad24.hi.sat.s32  0x800000 0x800000 0x40000000        = 0x7fffffff
        sad.u32       1 3 10                                  = 12
        sad.s32       -1 3 10                                 = 14
        sad.u32       -1 3 0                                  = 0xfffffffc
        sad.s16       0xffff 1 0                              = 2
        sad.s64       0x8000000000000000 0x7fffffffffffffff 1 = 0

        // div, rem: truncation; by zero all ones; INT_MIN / -1
        div.s32       7 -2                                    = -3
        rem.s32       7 -2                                    = 1
        rem.s32       -7 2                                    = -1
        div.s32       0x80000000 -1                           = 0x80000000
        rem.s32       0x80000000 -1                           = 0
        div.{u,s}32   5 0                                     = 0xffffffff
        rem.{u,s}32   5 0                                     = 0xffffffff
        div.{u,s}32   0 0                                     = 0xffffffff
        div.u32       -1 1                                    = 0xffffffff
        div.u32       -1 -2                                   = 1
        div.u32       0xfffffffe 0xffffffff                   = 0
        rem.u32       0xfffffffe 0xffffffff                   = 0xfffffffe
        div.u32       0xffffffff 3                            = 0x55555555
        div.u16       0xffff 0                                = 0xffff
        div.s16       0x8000 0xffff                           = 0x8000
        div.s16       0xfff9 2                                = 0xfffd
        rem.s16       0xfff9 2                                = 0xffff
        div.{u,s}64   9 0                                     = 0xffffffffffffffff
        rem.{u,s}64   9 0                                     = 0xffffffffffffffff
        div.s64       0x8000000000000000 -1                   = 0x8000000000000000
        rem.s64       0x8000000000000000 -1                   = 0
        div.s64       -7 2                                    = -3

        abs.s32       0x80000000                              = 0x80000000
        abs.s32       -1                                      = 1
        abs.s16       0x8000                                  = 0x8000
        abs.s16       0xffff                                  = 1
        abs.s64       0x8000000000000000                      = 0x8000000000000000
        neg.s32       0x80000000                              = 0x80000000
        neg.s32       1                                       = 0xffffffff
        neg.s16       1                                       = 0xffff
        neg.s64       1                                       = 0xffffffffffffffff
        min.u32       -1 1                                    = 1
        min.s32       -1 1                                    = 0xffffffff
        max.u32       -1 1                                    = 0xffffffff
        max.s32       -1 1                                    = 1
        min.s16       0xffff 1                                = 0xffff
        max.u16       0x9999ffff 0x00000001                   = 0xffff
        min.u16       0x00000002 0x99990001                   = 1
        max.s64       0x8000000000000000 0                    = 0
        max.u64       0x8000000000000000 0                    = 0x8000000000000000

        // carries: the last operand of addc, subc, madc is the carry-in
        add.{u,s}32.carry  0xffffffff 1                       = 1
        add.{u,s}32.carry  0xffffffff 0                       = 0
        addc.{u,s}32       0xffffffff 0 1                     = 0
        addc.{u,s}32.carry 0xffffffff 0 1                     = 1
        addc.{u,s}32.carry 0xffffffff 0xffffffff 1            = 1
        addc.{u,s}32.carry 0xfffffffe 0 1                     = 0
        addc.{u,s}64       -1 -1 1                            = -1
        addc.{u,s}64.carry -1 -1 1                            = 1
        sub.{u,s}32.carry  0 1                                = 1
        sub.{u,s}32.carry  1 1                                = 0
        subc.{u,s}32       1 1 1                              = 0xffffffff
        subc.{u,s}32.carry 1 1 1                              = 1
        subc.{u,s}32.carry 2 1 1                              = 0
        subc.{u,s}64.carry 0 0xffffffffffffffff 1             = 1
        mad.lo.{u,s}32.carry  -1 1 1                          = 1
        mad.hi.u32.carry   -1 -1 1                            = 0
        mad.hi.u32.carry   -1 -1 2                            = 1
        madc.hi.u32        -1 -1 1 1                          = 0
        madc.hi.u32.carry  -1 -1 1 1                          = 1
        madc.lo.{u,s}64    2 3 4 1                            = 11

        // logic and shifts: at and past the width
        and.b16       0xffff1234 0xffff0ff0                   = 0x0230
        or.b16        0xffff0000 0x0001                       = 1
        xor.b16       0xffff00ff 0x0f0f                       = 0x0ff0
        not.b16       0                                       = 0xffff
        not.b32       0x0f0f0f0f                              = 0xf0f0f0f0
        xor.b64       -1 0xf                                  = 0xfffffffffffffff0
        cnot.b32      0                                       = 1
        cnot.b32      0x80000000                              = 0
        cnot.b16      0xffff0000                              = 1
        cnot.b64      0x100000000                             = 0
        shl.b32       1 31                                    = 0x80000000
        shl.b32       1 32                                    = 0
        shl.b32       1 0xffffffff                            = 0
        shl.b16       0xffff 15                               = 0x8000
        shl.b16       1 16                                    = 0
        shl.b64       1 63                                    = 0x8000000000000000
        shl.b64       1 64                                    = 0
        shl.b64       1 0xffffffff                            = 0
        shr.{b,u}32   0x80000000 31                           = 1
        shr.{b,u}32   0x80000000 32                           = 0
        shr.s32       0x80000000 31                           = 0xffffffff
        shr.s32       0x80000000 100                          = 0xffffffff
        shr.s32       0x7fffffff 100                          = 0
        shr.s16       0x8000 1                                = 0xc000
        shr.s16       0x8000 40                               = 0xffff
        shr.{b,u}16   0xffff8000 15                           = 1
        shr.{b,u}16   0xffff8000 16                           = 0
        shr.s64       0x8000000000000000 63                   = -1
        shr.s64       0x8000000000000000 64                   = -1
        shr.{b,u}64   0x8000000000000000 64                   = 0
        shf.l.clamp.b32  0x80000000 0x00000001 1              = 3
        shf.l.clamp.b32  0xaaaaaaaa 0x55555555 0              = 0x55555555
        shf.l.clamp.b32  0xaaaaaaaa 0x55555555 32             = 0xaaaaaaaa
        shf.l.clamp.b32  0xaaaaaaaa 0x55555555 77             = 0xaaaaaaaa
        shf.l.wrap.b32   0xaaaaaaaa 0x55555555 32             = 0x55555555
        shf.r.clamp.b32  0x00000000 0x00000001 1              = 0x80000000
        shf.r.clamp.b32  0xaaaaaaaa 0x55555555 32             = 0x55555555
        shf.r.wrap.b32   0xaaaaaaaa 0x55555555 32             = 0xaaaaaaaa
        shf.r.wrap.b32   0x12345678 0x12345678 40             = 0x78123456

        // lop3: the ISA's own tables: a&b&c 0x80, a|b|c 0xfe, a&b&~c 0x40, (a&b)|c 0xea, a^b^c 0x96, a 0xf0
        lop3.b32      0xff00ff00 0xf0f0f0f0 0xcccccccc 0x80   = 0xc000c000
        lop3.b32      0xff00ff00 0xf0f0f0f0 0xcccccccc 0xfe   = 0xfffcfffc
        lop3.b32      0xff00ff00 0xf0f0f0f0 0xcccccccc 0x40   = 0x30003000
        lop3.b32      0xff00ff00 0xf0f0f0f0 0xcccccccc 0xea   = 0xfcccfccc
        lop3.b32      0xff00ff00 0xf0f0f0f0 0xcccccccc 0x96   = 0xc33cc33c
        lop3.b32      0x12345678 0 0xffffffff 0xf0            = 0x12345678
        lop3.b32      1 2 3 0                                 = 0
        lop3.b32      1 2 3 0xff                              = 0xffffffff

        // prmt: bytes 0..3 are a, 4..7 are b; selector + 8 replicates the sign
        prmt.b32      0x33221100 0x77665544 0x3210            = 0x33221100
        prmt.b32      0x33221100 0x77665544 0x7654            = 0x77665544
        prmt.b32      0x33221100 0x77665544 0x0246            = 0x00224466
        prmt.b32      0x80917f00 0xffeeddcc 0xba98            = 0xffff0000
        prmt.b32      0x000000ff 0x00000001 0xffffcc88        = 0x0000ffff
        prmt.b32.f4e  0x33221100 0x77665544 1                 = 0x44332211
        prmt.b32.f4e  0x33221100 0x77665544 7                 = 0x66554433
        prmt.b32.b4e  0x33221100 0x77665544 1                 = 0x66770011
        prmt.b32.rc8  0x33221100 0x77665544 2                 = 0x22222222
        prmt.b32.ecl  0x33221100 0x77665544 2                 = 0x33222222
        prmt.b32.ecr  0x33221100 0x77665544 2                 = 0x22221100
        prmt.b32.rc16 0x33221100 0x77665544 1                 = 0x33223322

        // counting and fields
        popc.b32      0xffffffff                              = 32
        popc.b32      0x80000001                              = 2
        popc.b64      0x8000000180000001                      = 4
        popc.b64      -1                                      = 64
        clz.b32       0                                       = 32
        clz.b32       1                                       = 31
        clz.b32       -1                                      = 0
        clz.b64       0                                       = 64
        clz.b64       0xffffffff                              = 32
        bfind.u32     0                                       = 0xffffffff
        bfind.u32     0x80000000                              = 31
        bfind.s32     -1                                      = 0xffffffff
        bfind.s32     0x80000000                              = 30
        bfind.s32     1                                       = 0
        bfind.u64     0x100000000                             = 32
        bfind.s64     -2                                      = 0
        bfind.shiftamt.u32  1                                 = 31
        bfind.shiftamt.u32  0                                 = 0xffffffff
        bfind.shiftamt.s32  -1                                = 0xffffffff
        bfind.shiftamt.s64  1                                 = 63
        bfind.shiftamt.u64  0                                 = 0xffffffff
        brev.b32      1                                       = 0x80000000
        brev.b32      0x12345678                              = 0x1e6a2c48
        brev.b64      1                                       = 0x8000000000000000
        bfe.u32       0x12345678 8 8                          = 0x56
        bfe.u32       0x12345678 8 0                          = 0
        bfe.u32       0x12345678 0 32                         = 0x12345678
        bfe.u32       0x12345678 0x108 0x108                  = 0x56
        bfe.u32       0xffffffff 28 16                        = 0xf
        bfe.u32       0xffffffff 32 4                         = 0
        bfe.s32       0x00008000 8 8                          = 0xffffff80
        bfe.s32       0x80000000 28 16                        = 0xfffffff8
        bfe.s32       0x80000000 40 4                         = 0xffffffff
        bfe.s32       0x7fffffff 40 4                         = 0
        bfe.s32       0xffffffff 4 0                          = 0
        bfe.s64       0x8000000000000000 60 8                 = -8
        bfe.u64       0x123456789abcdef0 32 16                = 0x5678
        bfi.b32       0xff 0 8 4                              = 0xf00
        bfi.b32       0 0xffffffff 8 8                        = 0xffff00ff
        bfi.b32       0xff 5 32 4                             = 5
        bfi.b32       0xff 5 0 0                              = 5
        bfi.b32       0xff 0 28 200                           = 0xf0000000
        bfi.b64       1 0 63 1                                = 0x8000000000000000
        fns.b32       0xaaaaaaaa 3 1                          = 3
        fns.b32       0xaaaaaaaa 3 -1                         = 3
        fns.b32       0xaaaaaaaa 2 1                          = 3
        fns.b32       0xaaaaaaaa 2 -1                         = 1
        fns.b32       0xaaaaaaaa 3 0                          = 3
        fns.b32       0xaaaaaaaa 2 0                          = 0xffffffff
        fns.b32       0xaaaaaaaa 0 17                         = 0xffffffff
        fns.b32       0xaaaaaaaa 0 16                         = 31
        bmsk.wrap.b32   1 2                                   = 6
        bmsk.clamp.b32  4 8                                   = 0xff0
        bmsk.clamp.b32  4 32                                  = 0xfffffff0
        bmsk.clamp.b32  32 1                                  = 0
        bmsk.clamp.b32  31 2                                  = 0x80000000
        bmsk.wrap.b32   33 33                                 = 2
        bmsk.wrap.b32   4 32                                  = 0
        szext.clamp.u32 0xffffffff 8                          = 0xff
        szext.clamp.u32 0xffffffff 32                         = 0xffffffff
        szext.wrap.u32  0xffffffff 32                         = 0
        szext.wrap.u32  0xffffffff 0                          = 0
        szext.clamp.s32 0x80 8                                = 0xffffff80
        szext.clamp.s32 0x80 0                                = 0
        szext.clamp.s32 0x7fffffff 99                         = 0x7fffffff
        szext.wrap.s32  0x1 33                                = 0xffffffff

        // dot products: 255·255·4 = 260100; -1·255·4; -128·-128·4
        dp4a.u32.u32  0xffffffff 0xffffffff 0                 = 260100
        dp4a.s32.u32  0xffffffff 0xffffffff 0                 = -1020
        dp4a.u32.s32  0xffffffff 0xffffffff 0                 = -1020
        dp4a.s32.s32  0x80808080 0x80808080 1                 = 65537
        dp4a.u32.u32  0x04030201 0x281e140a 0xffffffff        = 299
        dp2a.lo.u32.u32  0x00030002 0x281e140a 0              = 80
        dp2a.hi.u32.u32  0x00030002 0x281e140a 0              = 180
        dp2a.lo.s32.s32  0xffff8000 0x0000ff80 0              = 0x400001
        dp2a.hi.u32.s32  0xffffffff 0xff010000 5              = 5

        // compare and select
        setp.eq.{b,u,s}16  0x00010002 0x00030002              = 1
        setp.ne.{b,u,s}16  0x00010002 0x00030002              = 0
        setp.lt.s16        0xffff 0                           = 1
        setp.lt.u16        0xffff 0                           = 0
        setp.{lo,lt}.u32   1 -1                               = 1
        setp.{hs,ge}.u32   -1 1                               = 1
        setp.{hi,gt}.u32   1 1                                = 0
        setp.{ls,le}.u32   1 1                                = 1
        setp.lt.s32        1 -1                               = 0
        setp.ge.s32        0x80000000 0x7fffffff              = 0
        setp.gt.s64        0 0x8000000000000000               = 1
        setp.gt.u64        0 0x8000000000000000               = 0
        setp.eq.{b,u,s}64  0x100000000 0                      = 0
        setp.ne.{b,u,s}64  0x100000000 0                      = 1
        setp.eq.{b,u,s}32  0x80000000 0x80000000              = 1
        selp.{b32,u32,s32,f32}  1 2 1                         = 1
        selp.{b32,u32,s32,f32}  1 2 0                         = 2
        selp.{b64,u64,s64,f64}  0x100000000 2 1               = 0x100000000
        selp.{b64,u64,s64,f64}  0x100000000 2 0               = 2
        selp.{b,u,s}16     0xffff0001 2 1                     = 1
        slct.{b32,u32,s32,f32}.s32  1 2 0                     = 1
        slct.{b32,u32,s32,f32}.s32  1 2 -1                    = 2
        slct.{b64,u64,s64,f64}.s32  1 2 0x80000000            = 2
        slct.{b,u,s}16.s32 0xffff0001 2 5                     = 1

        // integer conversions: narrow results are zero-extended
        cvt.u64.u32   0x80000000                              = 0x80000000
        cvt.s64.s32   0x80000000                              = 0xffffffff80000000
        cvt.u64.s32   -1                                      = 0xffffffffffffffff
        cvt.s64.u32   -1                                      = 0xffffffff
        cvt.u32.u64   0x1234567890abcdef                      = 0x90abcdef
        cvt.s32.s8    0x1280                                  = 0xffffff80
        cvt.u32.u8    0x1280                                  = 0x80
        cvt.s32.s16   0x12348000                              = 0xffff8000
        cvt.u16.u32   0x12348765                              = 0x8765
        cvt.s16.s8    0x80                                    = 0xff80
        cvt.s64.s16   0x8000                                  = 0xffffffffffff8000
        cvt.u8.u64    0x1ff                                   = 0xff
        """;

    public sealed record Row(ulong[] Operands, ulong Expected);

    internal static readonly Dictionary<string, List<Row>> rows = Parse();

    static Dictionary<string, List<Row>> Parse()
    {
        var parsed = new Dictionary<string, List<Row>>();
        foreach (string line in Rows.Split('\n', StringSplitOptions.TrimEntries))
        {
            if (line == "" || line.StartsWith("//")) continue;
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            var row = new Row([.. words[1..^2].Select(Number)], Number(words[^1]));
            foreach ((string key, _) in LaneTable.Expand(words[0]))
            {
                if (!parsed.TryGetValue(key, out List<Row>? list)) parsed[key] = list = [];
                list.Add(row);
            }
        }
        return parsed;
    }

    static ulong Number(string text) => text.StartsWith("0x")
        ? ulong.Parse(text.AsSpan(2), NumberStyles.HexNumber)
        : (ulong)long.Parse(text);

    static IEnumerable<string> Keys() => rows.Keys;

    [TestCaseSource(nameof(Keys))]
    public void RowsGiveTheResultWorkedOutByHand(string key)
    {
        List<Row> list = rows[key];
        var inputs = list.ConvertAll(r => r.Operands);
        bool wide = LaneTable.LaneKeys[key].Method.ReturnType == typeof(System.Runtime.Intrinsics.Vector512<ulong>);
        ulong mask = wide ? ulong.MaxValue : uint.MaxValue;   // "-1" in a 32-bit result
        bool hasScalar = LaneTable.TryScalar(key, out _);
        for (int shift = 0; shift < 16; shift++)
        {
            ulong[] results = LaneRunner.Lane(key, inputs, shift);
            for (int i = 0; i < list.Count; i++)
                Assert.That(results[i], Is.EqualTo(list[i].Expected & mask), () => Describe(key, list[i], "lane"));
        }
        if (!hasScalar) return;
        foreach (Row row in list)
        {
            ulong result = LaneRunner.Scalar(key, row.Operands);
            Assert.That(result, Is.EqualTo(row.Expected & mask), () => Describe(key, row, "scalar"));
        }
    }

    static string Describe(string key, Row row, string which) =>
        $"{which} {key} {string.Join(' ', row.Operands.Select(x => $"0x{x:x}"))}";

    [TestCase("setp.lt.b32")]
    [TestCase("setp.lo.s32")]
    [TestCase("neg.u32")]
    [TestCase("shl.u32")]
    [TestCase("add.b32")]
    [TestCase("mul.lo.b32")]
    [TestCase("min.b32")]
    [TestCase("popc.u32")]
    [TestCase("selp.f16")]
    [TestCase("mul24.wide.u32")]
    public void FormsThatPtxasRejectsAreNotThere(string key) => Assert.That(LaneTable.TryLane(key, out _), Is.False);
}
