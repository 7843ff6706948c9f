# SAM's prompt encoder (points) and mask decoder in PyTorch, written from their description: tokens for the predicted
# quality, four masks and the prompts exchange attention with the image's tokens twice; masks are products of their
# tokens, through small MLPs, with the image at 4 x its size. One prompt set an image, several images in one call.
#   B images, T tokens, C channels, N heads of K
import math

import torch
from torch import nn
from torch.nn import functional as F

from vit import ChannelNorm

WIDTH, HEADS, MASKS = 256, 8, 4


class Attention(nn.Module):
    def __init__(self, inner=WIDTH):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(WIDTH, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, WIDTH)

    def forward(self, q, k, v):
        q, k, v = (self.split(p(x)) for p, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v)))
        weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))

    @staticmethod
    def split(x):  # (B, T, inner) to (B, N, T, K)
        return x.unflatten(2, (HEADS, x.shape[2] // HEADS)).transpose(1, 2)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(WIDTH, 2048), nn.Linear(2048, WIDTH)

    def forward(self, x):
        return self.lin2(F.relu(self.lin1(x)))


class Layer(nn.Module):
    def __init__(self, is_first):
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention()
        self.cross_attn_token_to_image = Attention(WIDTH // 2)
        self.cross_attn_image_to_token = Attention(WIDTH // 2)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(WIDTH) for _ in range(4))
        self.mlp = Mlp()

    def forward(self, tokens, image, token_positions, image_positions):
        if self.is_first:
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        else:
            q = tokens + token_positions
            tokens = self.norm1(tokens + self.self_attn(q, q, tokens))
        k = image + image_positions
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_positions, k, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(k, tokens + token_positions, tokens))
        return tokens, image


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Layer(True), Layer(False)])
        self.final_attn_token_to_image = Attention(WIDTH // 2)
        self.norm_final_attn = nn.LayerNorm(WIDTH)

    def forward(self, tokens, image, image_positions):
        first = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, first, image_positions)
        last = self.final_attn_token_to_image(tokens + first, image + image_positions, image)
        return self.norm_final_attn(tokens + last), image


class Head(nn.Module):
    def __init__(self, out):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, n) for n in (WIDTH, WIDTH, out))

    def forward(self, x):
        return self.layers[2](F.relu(self.layers[1](F.relu(self.layers[0](x)))))


class MaskDecoder(nn.Module):
    """Embeddings (B, C, H, W), prompts (B, n, C) and (1, C, 1, 1) to masks (B, 4, 4H, 4W) and their quality (B, 4)."""

    def __init__(self):
        super().__init__()
        self.transformer = Transformer()
        self.iou_token = nn.Embedding(1, WIDTH)
        self.mask_tokens = nn.Embedding(MASKS, WIDTH)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(WIDTH, WIDTH // 4, 2, 2), ChannelNorm(WIDTH // 4), nn.GELU(),
            nn.ConvTranspose2d(WIDTH // 4, WIDTH // 8, 2, 2), nn.GELU())
        self.output_hypernetworks_mlps = nn.ModuleList(Head(WIDTH // 8) for _ in range(MASKS))
        self.iou_prediction_head = Head(MASKS)

    def forward(self, embeddings, positions, sparse, dense, masks=MASKS):
        images, _, height, width = embeddings.shape
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(images, -1, -1)
        image = (embeddings + dense).flatten(2).transpose(1, 2)
        tokens, image = self.transformer(torch.cat([own, sparse], 1), image, positions.flatten(2).transpose(1, 2))
        up = self.output_upscaling(image.transpose(1, 2).unflatten(2, (height, width)))
        factors = torch.stack([self.output_hypernetworks_mlps[i](tokens[:, 1 + i]) for i in range(masks)], 1)
        return (factors @ up.flatten(2)).unflatten(2, up.shape[2:]), self.iou_prediction_head(tokens[:, 0])


class PointPrompts(nn.Module):
    """Points (B, n, 2) in pixels, labels (B, n) 0, 1 or -1, to tokens (B, n, C); no box, no mask."""

    def __init__(self, size=1024):
        super().__init__()
        self.size = size
        self.pe_layer = nn.Module()
        self.pe_layer.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, WIDTH // 2))
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, WIDTH) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, WIDTH)
        self.no_mask_embed = nn.Embedding(1, WIDTH)

    def encode(self, places):  # in 0 .. 1
        angles = 2 * math.pi * ((2 * places - 1) @ self.pe_layer.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], -1)

    def forward(self, points, labels):
        """As without a box: one padding point more."""
        padded = F.pad(points + 0.5, (0, 0, 0, 1)) / self.size
        labels = F.pad(labels, (0, 1), value=-1)[..., None]
        tokens = torch.where(labels < 0, self.not_a_point_embed.weight, self.encode(padded))
        for label in (0, 1):
            tokens = tokens + torch.where(labels == label, self.point_embeddings[label].weight, torch.zeros(1))
        return tokens

    def grid(self, side):
        steps = (torch.arange(side) + 0.5) / side
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        return self.encode(torch.stack([x, y], -1)).permute(2, 0, 1)[None]

    def no_mask(self):
        return self.no_mask_embed.weight.reshape(1, WIDTH, 1, 1)
