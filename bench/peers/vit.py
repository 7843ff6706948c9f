# SAM's image encoder in PyTorch, written from its description (a plain vision transformer: patch embedding, absolute
# positions, blocks with windowed or global attention and decomposed relative positions, a neck of two convolutions).
# The rivals of `bench peers` run it: PyTorch as it stands, ONNX Runtime as exported from it. Parameters carry the
# checkpoint's names.
#   B images, H x W tokens, E channels, N heads of K
import json
import os

import numpy
import torch
from torch import nn
from torch.nn import functional as F

EPS = 1e-6


class Attention(nn.Module):
    """Attention among the tokens of a side x side grid; so many heads' logits are in memory together."""

    def __init__(self, width, heads, side, at_once):
        super().__init__()
        self.heads, self.side, self.at_once = heads, side, at_once
        self.in_place = True  # False: sums of logits are tensors of their own, as in the published code
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        steps = torch.arange(side)
        self.register_buffer("distance", steps[:, None] - steps[None, :] + side - 1, persistent=False)

    def forward(self, x):
        """(B, side, side, E) to the same."""
        images, tokens = x.shape[0], self.side * self.side
        qkv = self.qkv(x).reshape(images, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.reshape(3, images * self.heads, tokens, -1).unbind(0)
        vertical = self.rel_pos_h[self.distance].transpose(1, 2)    # (H, K, H')
        horizontal = self.rel_pos_w[self.distance].transpose(1, 2)  # (W, K, W')
        if images * self.heads * tokens * tokens <= self.at_once * 4096 * 4096:
            y = self.attend(q, k, v, vertical, horizontal)
        else:
            parts = [t.split(self.at_once) for t in (q, k, v)]
            y = torch.cat([self.attend(*part, vertical, horizontal) for part in zip(*parts)])
        y = y.reshape(images, self.heads, tokens, -1).transpose(1, 2)
        return self.proj(y.reshape(x.shape))

    def attend(self, q, k, v, vertical, horizontal):
        n, side = q.shape[0], self.side
        grid = q.reshape(n, side, side, -1)
        rows = torch.matmul(grid.permute(1, 0, 2, 3).reshape(side, n * side, -1), vertical)
        rows = rows.reshape(side, n, side, side).transpose(0, 1)
        columns = torch.matmul(grid.permute(2, 0, 1, 3).reshape(side, n * side, -1), horizontal)
        columns = columns.reshape(side, n, side, side).permute(1, 2, 0, 3)
        logits = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(1, 2)).reshape(n, side, side, side, side)
        if torch.onnx.is_in_onnx_export() or not self.in_place:
            logits = logits + rows[..., :, None] + columns[..., None, :]
        else:  # without two more tensors of this size
            logits.add_(rows[..., :, None]).add_(columns[..., None, :])
        return torch.matmul(logits.reshape(n, side * side, side * side).softmax(-1), v)


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.lin2(F.gelu(self.lin1(x)))


class Block(nn.Module):
    def __init__(self, width, heads, grid, window, at_once):
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, heads, window or grid, at_once)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x):
        y = self.norm1(x)
        x = x + (self.windowed(y) if self.window else self.attn(y))
        return x + self.mlp(self.norm2(x))

    def windowed(self, x):
        """Zero-padded below and right to whole windows; padded tokens take part in the softmax."""
        images, grid, _, width = x.shape
        side = self.window
        count = (grid + side - 1) // side
        x = F.pad(x, (0, 0, 0, count * side - grid, 0, count * side - grid))
        x = x.reshape(images, count, side, count, side, width).transpose(2, 3)
        x = self.attn(x.reshape(images * count * count, side, side, width))
        x = x.reshape(images, count, count, side, side, width).transpose(2, 3)
        return x.reshape(images, count * side, count * side, width)[:, :grid, :grid]


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of (B, C, H, W)."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        if x.dtype != self.weight.dtype:  # under autocast
            x = x.to(self.weight.dtype)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, EPS).permute(0, 3, 1, 2)


class PatchEmbed(nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x):
        return self.proj(x).permute(0, 2, 3, 1)


class ImageEncoder(nn.Module):
    """(B, 3, size, size), normalised, to (B, channels, size / 16, size / 16). The defaults are ViT-B's."""

    def __init__(self, size=1024, width=768, depth=12, heads=12, window=14, global_blocks=(2, 5, 8, 11), channels=256,
                 at_once=1 << 30):
        super().__init__()
        grid = size // 16
        self.patch_embed = PatchEmbed(width, 16)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, width))
        self.blocks = nn.ModuleList(
            Block(width, heads, grid, 0 if i in global_blocks else window, at_once) for i in range(depth))
        self.neck = nn.Sequential(nn.Conv2d(width, channels, 1, bias=False), ChannelNorm(channels),
                                  nn.Conv2d(channels, channels, 3, padding=1, bias=False), ChannelNorm(channels))

    def forward(self, images):
        x = self.patch_embed(images) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))


def load(module, path, prefix):
    """Fills a module from a safetensors file of float32, one tensor at a time; all names and shapes must fit."""
    with open(path, "rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(start - 8))
        state = module.state_dict()
        stored = {n[len(prefix):]: e for n, e in header.items() if n.startswith(prefix)}
        if set(stored) != set(state):
            raise SystemExit(f"{os.path.basename(path)}: the names differ: {sorted(set(stored) ^ set(state))[:5]}")
        with torch.no_grad():
            for name, tensor in state.items():
                entry = stored[name]
                if entry["dtype"] != "F32" or entry["shape"] != list(tensor.shape):
                    raise SystemExit(f"{name}: {entry['dtype']} {entry['shape']} does not fit {list(tensor.shape)}")
                file.seek(start + entry["data_offsets"][0])
                values = numpy.fromfile(file, "<f4", tensor.numel())
                tensor.copy_(torch.from_numpy(values).reshape(tensor.shape))
    return module
