namespace EpSam.VirtualGpu.Tests.Driver;

/// <summary>PTX for the tests of the driver.</summary>
internal static class Kernels
{
    public const string Header = """
        .version 7.0
        .target sm_80
        .address_size 64

        """;

    /// <summary>out[global thread] = value; entries with limits; module variables; faults.</summary>
    public const string All = Header + """
        .visible .global .align 4 .u32 table[4] = {1, 2, 3, 4};
        .visible .global .align 8 .u64 pointer = table;
        .visible .global .align 4 .b8 zeros[8];
        .visible .const .align 4 .u32 kTile = 64;
        .extern .shared .align 16 .b8 dynamic[];

        .visible .entry fill(.param .u64 out, .param .u32 value)
        {
            .reg .b32 %r<6>;
            .reg .b64 %rd<4>;
            ld.param.u64 %rd1, [out];
            ld.param.u32 %r1, [value];
            mov.u32 %r2, %ctaid.x;
            mov.u32 %r3, %ntid.x;
            mov.u32 %r4, %tid.x;
            mad.lo.s32 %r5, %r2, %r3, %r4;
            cvta.to.global.u64 %rd1, %rd1;
            mul.wide.u32 %rd2, %r5, 4;
            add.s64 %rd3, %rd1, %rd2;
            st.global.u32 [%rd3], %r1;
            ret;
        }

        .visible .entry copy_table(.param .u64 out)
        {
            .reg .b32 %r<4>;
            .reg .b64 %rd<6>;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %rd2, %r1, 4;
            mov.u64 %rd3, table;
            add.s64 %rd3, %rd3, %rd2;
            ld.global.u32 %r2, [%rd3];
            add.s64 %rd4, %rd1, %rd2;
            st.global.u32 [%rd4], %r2;
            ret;
        }

        .visible .entry read(.param .u64 in)
        {
            .reg .b32 %r<2>;
            .reg .b64 %rd<2>;
            ld.param.u64 %rd1, [in];
            ld.global.u32 %r1, [%rd1];
            st.global.u32 [%rd1], %r1;
            ret;
        }

        .visible .entry static_shared()
        {
            .shared .align 4 .b8 tile[16384];
            .reg .b32 %r<2>;
            mov.u32 %r1, 1;
            st.shared.u32 [tile], %r1;
            ret;
        }

        .visible .entry last_shared(.param .u32 offset)
        {
            .reg .b32 %r<4>;
            ld.param.u32 %r1, [offset];
            mov.u32 %r2, dynamic;
            add.u32 %r2, %r2, %r1;
            st.shared.u8 [%r2], %r1;
            ret;
        }

        .visible .entry most_64() .maxntid 64, 1, 1
        {
            ret;
        }

        .visible .entry exactly_32_2() .reqntid 32, 2, 1
        {
            ret;
        }

        .visible .entry trapped()
        {
            trap;
        }

        .visible .func helper()
        {
            ret;
        }
        """;
}
