# EP-SAM's patch classifier in PyTorch, written from its description: ResNet-50 with stride 1 in its last stage, three
# attention-based dropout layers (ADL), one logit, and a fourth input channel of high frequencies.
import math

import torch
from torch import nn
from torch.nn import functional as F


def high_frequencies(x):
    """(B, 3, H, W) to (B, 1, H, W): x without the frequencies 0 and -1 of either axis, by their four Fourier sums."""
    def waves(n):  # e^(2 pi i u r / n) for u = 0 and -1
        angle = torch.outer(torch.tensor([0.0, -1.0], dtype=torch.float64), torch.arange(n) * (2 * math.pi / n))
        return angle.cos().float(), angle.sin().float()

    (rows, rows_i), (columns, columns_i) = waves(x.shape[2]), waves(x.shape[3])
    real, imaginary = x @ columns.T, -(x @ columns_i.T)                          # along W: (B, 3, H, 2)
    a, b = rows @ real + rows_i @ imaginary, rows @ imaginary - rows_i @ real    # along H: (B, 3, 2, 2)
    a, b = a / (x.shape[2] * x.shape[3]), b / (x.shape[2] * x.shape[3])
    along, along_i = rows.T @ a - rows_i.T @ b, rows.T @ b + rows_i.T @ a        # back: (B, 3, H, 2)
    low = along @ columns - along_i @ columns_i
    return (x - low).abs().mean(1, keepdim=True)


class Adl(nn.Module):
    """Multiplies by the importance map, or more often hides the strongest places; one choice for the whole batch."""

    def __init__(self, drop_rate=0.75, threshold=0.8):
        super().__init__()
        self.drop_rate, self.threshold = drop_rate, threshold

    def forward(self, x):
        if not self.training:
            return x
        mean = x.mean(1, keepdim=True)
        if torch.rand(()) < self.drop_rate:
            return x * (mean < self.threshold * mean.amax((1, 2, 3), keepdim=True)).to(x.dtype)
        return x * mean.sigmoid()


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride, is_first):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = nn.Sequential(
            nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)) if is_first else None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class ResNetAdl(nn.Module):
    """Images (B, 3, H, W) in 0 .. 1 to logits (B)."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64

        def stage(width, stride, layout):  # b: a bottleneck, a: ADL
            nonlocal channels
            layers = []
            for letter in layout:
                is_first = not layers
                block = Adl() if letter == "a" else Bottleneck(channels, width, stride if is_first else 1, is_first)
                layers.append(block)
                channels = 4 * width
            return nn.Sequential(*layers)

        self.layer1, self.layer2 = stage(64, 1, "bbb"), stage(128, 2, "bbbb")
        self.layer3, self.layer4 = stage(256, 2, "babbbbb"), stage(512, 1, "babba")
        self.fc = nn.Linear(channels, 1)

    def forward(self, images):
        x = torch.cat([images, high_frequencies(images)], 1)
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3))).squeeze(1)
