// The geometry of convolutions: which position of a tensor a row of the product gathers from at which tap of the
// kernel. Forward, rows are positions of y and gather from x; backward, they are positions of dx and gather from dy.
// There, where a stride is not 1, positions fall into phases (position modulo stride) that meet different taps; a
// block works in one phase.
#pragma once
#include "mma.cuh"

constexpr int Side = 128; // rows of a tile

// Axes are D, H, W. c and n: channels of x and y, of all groups.
struct Geometry { int batch, groups, c, n, in[3], out[3], kernel_size[3], stride[3], padding[3], dilation[3]; };

#define GEOMETRY                                                                                                       \
    int batch, int groups, int c, int n, int in_d, int in_h, int in_w, int out_d, int out_h, int out_w, int kernel_d,  \
        int kernel_h, int kernel_w, int stride_d, int stride_h, int stride_w, int padding_d, int padding_h,            \
        int padding_w, int dilation_d, int dilation_h, int dilation_w
#define AS_GEOMETRY                                                                                                    \
    {batch, groups, c, n, {in_d, in_h, in_w}, {out_d, out_h, out_w}, {kernel_d, kernel_h, kernel_w},                   \
     {stride_d, stride_h, stride_w}, {padding_d, padding_h, padding_w}, {dilation_d, dilation_h, dilation_w}}

// How one axis is walked: row q at tap t gathers from q·step + base + t·hop, if that is in 0..in-1, meets the weight's
// tap first + t·skip, and stands for position q·spread + start of the result.
struct Axis { int in, rows, step, base, hop, taps, first, skip, spread, start; };

// All axes of one phase; channels are gathered, columns computed, both of one group.
struct Walk { Axis d, h, w; int images, channels, columns; };

template <bool Backward> device Axis walk_axis(const Geometry& g, int i, int& phase)
{
    if (!Backward) return {g.in[i], g.out[i], g.stride[i], -g.padding[i], g.dilation[i], g.kernel_size[i], 0, 1, 1, 0};
    // dx at p = q·stride + r gathers from dy at (p + padding - k·dilation) / stride, for the k where that is whole
    int phases = min_of(g.stride[i], g.in[i]), r = phase % phases, first = 0, skip = 1;
    phase /= phases;
    while (first < g.kernel_size[i] && (r + g.padding[i] - first * g.dilation[i]) % g.stride[i] != 0) first++;
    while (skip * g.dilation[i] % g.stride[i] != 0) skip++;
    return {g.out[i], (g.in[i] - r + g.stride[i] - 1) / g.stride[i], 1,
            (r + g.padding[i] - first * g.dilation[i]) / g.stride[i], -(skip * g.dilation[i] / g.stride[i]),
            (g.kernel_size[i] - first + skip - 1) / skip, first, skip, g.stride[i], r};
}

template <bool Backward> device Walk walk_of(const Geometry& g, int phase)
{
    Axis w = walk_axis<Backward>(g, 2, phase), h = walk_axis<Backward>(g, 1, phase);
    Axis d = walk_axis<Backward>(g, 0, phase);
    int channels = g.c / g.groups, columns = g.n / g.groups;
    return {d, h, w, g.batch, Backward ? columns : channels, Backward ? channels : columns};
}

device int row_count(const Walk& k) { return k.images * k.d.rows * k.h.rows * k.w.rows; }
device int depth_of(const Walk& k) { return k.d.taps * k.h.taps * k.w.taps * k.channels; }

// a / b for a >= 0 and quotients below 2^21: no loop, no 64-bit arithmetic.
device int divide(int a, int b)
{
    int q = (int)((float)a * rcp_approx((float)b)), r = a - q * b;
    return r < 0 ? q - 1 : r >= b ? q + 1 : q;
}

// Coordinates on the walk's axes.
struct Row { int image, z, y, x; };

// Row first + i, i < Span. first is a multiple of Span and the same for the whole block, so where lines are too, all of
// these rows are in one line.
template <int Span> device Row row_at(const Walk& k, int first, int i)
{
    int rest = first / k.w.rows, x = first % k.w.rows + i;
    if (k.w.rows % Span == 0) return {rest / k.h.rows / k.d.rows, rest / k.h.rows % k.d.rows, rest % k.h.rows, x};
    int q = divide(x, k.w.rows);
    int y = rest % k.h.rows + q, p = divide(y, k.h.rows);
    rest /= k.h.rows;
    int z = rest % k.d.rows + p, o = divide(z, k.d.rows);
    return {rest / k.d.rows + o, z - o * k.d.rows, y - p * k.h.rows, x - q * k.w.rows};
}

// A row's first position, before any tap: its coordinates in the tensor that is gathered from, and the index there
// (which is out of it where they are). Rows past the last lie outside.
struct Origin { int index, z, y, x; };

template <int Span> device Origin origin_of(const Walk& k, int first, int i, int rows)
{
    Row r = row_at<Span>(k, first, i);
    int z = r.z * k.d.step + k.d.base, y = r.y * k.h.step + k.h.base, x = r.x * k.w.step + k.w.base;
    return {((r.image * k.d.in + z) * k.h.in + y) * k.w.in + x, first + i < rows ? z : -(1 << 30), y, x};
}

// One place of the depth: how far its tap is from the origin, its channel, its tap in the weight.
struct Place { int index, z, y, x, channel, tap; };

device Place place_of(const Walk& k, const Geometry& g, int depth)
{
    int tap = divide(depth, k.channels), channel = depth - tap * k.channels;
    int rest = divide(tap, k.w.taps), x = tap - rest * k.w.taps;
    int z = divide(rest, k.h.taps), y = rest - z * k.h.taps;
    int weight = ((k.d.first + z * k.d.skip) * g.kernel_size[1] + k.h.first + y * k.h.skip) * g.kernel_size[2]
        + k.w.first + x * k.w.skip;
    x *= k.w.hop;
    y *= k.h.hop;
    z *= k.d.hop;
    return {(z * k.h.in + y) * k.w.in + x, z, y, x, channel, weight};
}

// Place i of the chunk that begins at depth0: where chunks do not cross taps, the tap is the same for the whole block.
template <int Deep> device Place place_in(const Walk& k, const Geometry& g, int depth0, int i)
{
    if (k.channels % Deep != 0) return place_of(k, g, depth0 + i);
    Place p = place_of(k, g, depth0);
    p.channel += i;
    return p;
}

device bool is_inside(const Walk& k, const Origin& o, const Place& p)
{
    return (u32)(o.z + p.z) < (u32)k.d.in && (u32)(o.y + p.y) < (u32)k.h.in && (u32)(o.x + p.x) < (u32)k.w.in;
}

// Where row first + i of the walk stands in the result.
template <bool Backward> device long long position_of(const Walk& k, const Geometry& g, int first, int i)
{
    if (!Backward) return first + i;
    Row r = row_at<Side>(k, first, i);
    int z = r.z * k.d.spread + k.d.start, y = r.y * k.h.spread + k.h.start, x = r.x * k.w.spread + k.w.start;
    return ((long long)(r.image * g.in[0] + z) * g.in[1] + y) * g.in[2] + x;
}

device int taps_of(const Geometry& g) { return g.kernel_size[0] * g.kernel_size[1] * g.kernel_size[2]; }
