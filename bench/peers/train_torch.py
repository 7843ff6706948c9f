#!/usr/bin/python3
# One training step of EP-SAM in PyTorch as a process of its own, line protocol of peer.py: "run" is one step, "save
# PATH" writes the last loss.
#   train_torch.py decoder THREADS [HEADS|published]   ViT-B frozen, 4 images of 1024 x 1024, 50 points each, the mask
#                                            decoder trained with Dice and IoU loss at 512 x 512, AdamW. HEADS: how many
#                                            heads' logits (of 4 x 12) are in memory together in the encoder; published:
#                                            all, and every sum of logits is a new tensor, as SAM's own code has it
#   train_torch.py classifier THREADS        ResNet-50 with ADL, 16 images of 512 x 512, cross entropy, Adam
#   printf 'run\nrun\npeak\nquit\n' | bench/peers/train_torch.py classifier 2
# Weights are PyTorch's initial ones and inputs random numbers: neither changes time or memory. The official code took
# 102 s and 11.5 GB for the first, 50 s and 9.6 GB for the second, on two threads of an EPYC; this one, whose images are
# decoded together and whose logits are added to in place, needs 7.7 and 9.4 GB.
import sys

import numpy
import torch
from torch.nn import functional as F

import decoder
import peer
import resnet_adl
import vit


def dice_and_iou(p, target, smooth=1e-3):
    both, all_p, all_t = (x.sum((1, 2)) for x in (p * target, p, target))
    dice = 1 - (2 * both + smooth) / (all_p + all_t + smooth)
    return (dice + 1 - (both + smooth) / (all_p + all_t - both + smooth)).mean()


def decoder_step(how):
    batch, points = 4, 50
    published = how == "published"
    encoder = vit.ImageEncoder() if published else vit.ImageEncoder(at_once=int(how))
    for block in encoder.blocks:
        block.attn.in_place = not published
    prompts, masks = decoder.PointPrompts(), decoder.MaskDecoder()
    optimizer = torch.optim.AdamW(masks.parameters(), lr=5e-6, weight_decay=1e-2)
    images = torch.randn(batch, 3, 1024, 1024)
    places, labels = torch.rand(batch, points, 2) * 1024, torch.ones(batch, points, dtype=torch.long)
    target = (torch.rand(batch, 512, 512) < 0.5).float()

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            embeddings = encoder(images)
            sparse, dense, positions = prompts(places, labels), prompts.no_mask(), prompts.grid(64)
        logits, _ = masks(embeddings, positions, sparse, dense, masks=1)
        logits = F.interpolate(logits, (1024, 1024), mode="bilinear", align_corners=False)
        logits = F.interpolate(logits, (512, 512), mode="bilinear", align_corners=False)
        loss = dice_and_iou(logits[:, 0].sigmoid(), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def classifier_step():
    model = resnet_adl.ResNetAdl().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, weight_decay=1e-3)
    images, labels = torch.rand(16, 3, 512, 512), torch.arange(16).remainder(2).float()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def main(arguments):
    counts = {"decoder": (2, 3), "classifier": (2,)}
    if not arguments or len(arguments) not in counts.get(arguments[0], ()):
        sys.exit("usage: train_torch.py decoder THREADS [HEADS|published] | classifier THREADS")
    torch.set_num_threads(int(arguments[1]))
    torch.manual_seed(1)
    step = classifier_step() if arguments[0] == "classifier" else decoder_step((arguments + ["48"])[2])

    def once():
        loss = step()
        if not torch.isfinite(loss):
            sys.exit(f"the loss is {loss.item()}")
        return loss

    peer.serve(once, lambda loss, path: numpy.array([loss.item()], "<f4").tofile(path), f"PyTorch {torch.__version__}",
               f"oneDNN {'on' if torch.backends.mkldnn.is_available() else 'off'}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main(sys.argv[1:])
