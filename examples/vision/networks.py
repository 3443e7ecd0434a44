"""A small vision transformer and a small MobileNetV3 for digits; every operand of a product, and every sum, is quantised."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Quantiser(nn.Module):
    """Round to 2^b levels between −s·z and s·(2^b − 1 − z), straight through; s is learned (Esser et al., LSQ, 2020).

    Args:
        bits: b; 0 lets everything pass.
        signed: z is half of the levels; 0 otherwise.
    """

    def __init__(self, bits: int, *, signed: bool) -> None:
        super().__init__()
        self.bits, self.signed = bits, signed
        self.scale = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        if not self.bits:
            return x
        low = -(2 ** (self.bits - 1)) if self.signed else 0
        high = low + 2**self.bits - 1
        if self.scale.item() == 0:  # the first batch
            top = x.detach().abs().flatten().quantile(0.998 if x.numel() < 1 << 22 else 1)
            self.scale.data.fill_(float(top) / high)
        levels = torch.clip(x / self.scale, low, high)
        rounded = torch.round(levels) if not self.training else levels + (levels.round() - levels).detach()
        return rounded * self.scale


class Attention(nn.Module):
    """Heads that look at all patches (Vaswani et al., 2017)."""

    def __init__(self, width: int, heads: int, bits: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.parts = nn.ModuleList(Quantiser(bits, signed=True) for _ in range(5))
        self.weights = Quantiser(bits, signed=False)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        parts = self.project(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = (quantise(part) for quantise, part in zip(self.parts, parts, strict=False))
        scores = self.parts[3](query @ key.transpose(2, 3)) * (width // self.heads) ** -0.5
        mixed = self.parts[4](self.weights(scores.softmax(-1)) @ value)
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    """Attention and a perceptron with GELU, each behind a layer norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, bits: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads, bits)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.layers = nn.Sequential(
            nn.Linear(width, 2 * width),
            Quantiser(bits, signed=True),
            nn.GELU(),
            Quantiser(bits, signed=True),
            nn.Linear(2 * width, width),
        )
        self.parts = nn.ModuleList(Quantiser(bits, signed=True) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.parts[1](x + self.attention(self.parts[0](self.norms[0](x))))
        return self.parts[3](x + self.layers(self.parts[2](self.norms[1](x))))


class VisionTransformer(nn.Module):
    """Patches of 7 × 7, two blocks, the mean of all patches (Dosovitskiy et al., 2021)."""

    def __init__(self, bits: int, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 7, 7)
        self.places = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.begin, self.end = Quantiser(bits, signed=True), Quantiser(bits, signed=True)
        self.blocks = nn.Sequential(*(Block(width, heads, bits) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.begin(self.patches(image).flatten(2).transpose(1, 2) + self.places)
        return self.head(self.end(self.norm(self.blocks(x))).mean(1))


class Excitation(nn.Module):
    """Squeeze and excitation: a factor for each channel, of the whole map (Hu et al., 2018)."""

    def __init__(self, channels: int, bits: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Quantiser(bits, signed=True),
            nn.Conv2d(channels, channels // 4, 1),
            nn.ReLU(),
            Quantiser(bits, signed=False),
            nn.Conv2d(channels // 4, channels, 1),
            nn.Hardsigmoid(),
            Quantiser(bits, signed=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.layers(functional.adaptive_avg_pool2d(x, 1))


def convolution(
    inputs: int, outputs: int, kernel: int, bits: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """With batch norm, HardSwish between two quantisers."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        Quantiser(bits, signed=True),
        nn.Hardswish(),
        Quantiser(bits, signed=True),
    )


class Inverted(nn.Module):
    """Wide, depthwise, excited, narrow; with a shortcut where sizes allow it (Howard et al., 2019)."""

    def __init__(self, inputs: int, wide: int, outputs: int, stride: int, bits: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(inputs, wide, 1, bits),
            convolution(wide, wide, 3, bits, stride=stride, groups=wide),
            Excitation(wide, bits),
            Quantiser(bits, signed=True),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = stride == 1 and inputs == outputs
        self.end = Quantiser(bits, signed=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(x + self.layers(x) if self.shortcut else self.layers(x))


class MobileNet(nn.Module):
    """Four inverted residuals."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(1, 8, 3, bits, stride=2),
            Inverted(8, 24, 12, 2, bits),
            Inverted(12, 36, 12, 1, bits),
            Inverted(12, 48, 20, 2, bits),
            Inverted(20, 60, 20, 1, bits),
            convolution(20, 80, 1, bits),
        )
        self.end, self.head = Quantiser(bits, signed=True), nn.Linear(80, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.end(functional.adaptive_avg_pool2d(self.layers(image), 1)).flatten(1))


NETWORKS = {"vit": VisionTransformer, "mobilenet": MobileNet}
