"""Architectures with random weights, those of torchvision and two more; batch norms hold the statistics of noise.

Needs torch and torchvision.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: What two samples of the encoder's tokens are drawn from, and how long they are.
WORDS, LENGTH = 1000, 32


def network_of(name: str, side: int) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The network, and two samples that it reads: pictures of ``side``, or tokens and a mask."""
    torch.manual_seed(0)
    if name == "bert":
        return Bert().eval(), tokens()
    network = Yolo() if name == "yolo" else _torchvision(name, side)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # averages over all batches
    if norms:
        with torch.no_grad():
            network.train()(torch.randn(4, 3, side, side))
    return network.eval(), (torch.randn(2, 3, side, side),)


def tokens() -> tuple[Tensor, Tensor]:
    """Two sentences, the second one shorter."""
    mask = torch.arange(LENGTH) < torch.tensor([[LENGTH], [LENGTH * 2 // 3]])
    return torch.randint(WORDS, (2, LENGTH)), mask.long()


def _torchvision(name: str, side: int) -> nn.Module:
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):  # compiled operators that a CPU build of torch lacks
        library.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    import torchvision  # noqa: PLC0415 - it registers kernels of what is defined above

    chosen: dict[str, Any] = {"weights": None}
    if name == "vit_b_16":
        chosen["image_size"] = side
    if name == "maxvit_t":  # partitions have to divide every stage
        return torchvision.models.MaxVit(
            input_size=(side, side), stem_channels=64, partition_size=side // 32, block_channels=[64, 128, 256, 512],
            block_layers=[2, 2, 5, 2], head_dim=32, stochastic_depth_prob=0.2,
        )  # fmt: skip
    if name.startswith("lraspp"):
        chosen |= {"weights_backbone": None, "num_classes": 21}
    network: nn.Module = torchvision.models.get_model(name, **chosen)
    for module in network.modules():  # a head that starts at zero would answer nothing else
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.trunc_normal_(module.weight, std=0.02)
    return FirstOutput(network) if name.startswith("lraspp") else network


class FirstOutput(nn.Module):
    """A segmentation network's map of classes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        """As the class says."""
        return self.network(x)["out"]


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, SiLU."""
    synapses = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(synapses, nn.BatchNorm2d(outputs), nn.SiLU())


class Stage(nn.Module):
    """Two halves of the channels, residual blocks on one of them, everything joined: C2f of YOLOv8."""

    def __init__(self, inputs: int, outputs: int, depth: int = 1, *, residual: bool = True) -> None:
        super().__init__()
        half, self.residual = outputs // 2, residual
        self.first = convolution(inputs, outputs, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(half, half), convolution(half, half)) for _ in range(depth)
        )
        self.last = convolution(outputs + depth * half, outputs, 1)

    def forward(self, x: Tensor) -> Any:
        """As the class says."""
        parts = list(self.first(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]) + parts[-1] if self.residual else block(parts[-1]))
        return self.last(torch.cat(parts, 1))


class Pyramid(nn.Module):
    """Maxima over growing neighbourhoods: SPPF."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.last = (
            convolution(channels, channels // 2, 1),
            convolution(channels * 2, channels, 1),
        )

    def forward(self, x: Tensor) -> Any:
        """As the class says."""
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.last(torch.cat(parts, 1))


class Yolo(nn.Module):
    """A detector like YOLOv8n: SiLU, three scales, a pyramid up and down, boxes from expectations over 16 bins, scores."""

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128, 256), classes: int = 20) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.stem = nn.Sequential(convolution(3, a, 3, 2), convolution(a, b, 3, 2), Stage(b, b))
        self.third = nn.Sequential(convolution(b, c, 3, 2), Stage(c, c, 2))
        self.fourth = nn.Sequential(convolution(c, d, 3, 2), Stage(d, d, 2))
        self.fifth = nn.Sequential(convolution(d, e, 3, 2), Stage(e, e), Pyramid(e))
        self.up = nn.ModuleList([Stage(d + e, d, residual=False), Stage(c + d, c, residual=False)])
        self.step = nn.ModuleList([convolution(c, c, 3, 2), convolution(d, d, 3, 2)])
        self.down = nn.ModuleList([Stage(c + d, d, residual=False), Stage(d + e, e, residual=False)])
        self.boxes, self.scores = (
            nn.ModuleList(nn.Sequential(convolution(i, c), convolution(c, c), nn.Conv2d(c, n, 1)) for i in (c, d, e))
            for n in (64, classes)
        )  # fmt: skip
        self.register_buffer("bins", torch.arange(16.0).reshape(1, 16, 1, 1))

    def forward(self, x: Tensor) -> Any:
        """As the class says."""
        third = self.third(self.stem(x))
        fourth = self.fourth(third)
        fifth = self.fifth(fourth)
        middle = self.up[0](torch.cat([functional.interpolate(fifth, scale_factor=2.0), fourth], 1))
        small = self.up[1](torch.cat([functional.interpolate(middle, scale_factor=2.0), third], 1))
        middle = self.down[0](torch.cat([self.step[0](small), middle], 1))
        large = self.down[1](torch.cat([self.step[1](middle), fifth], 1))
        maps = list(zip((small, middle, large), self.boxes, self.scores, strict=True))
        boxes = torch.cat([box(one).flatten(2) for one, box, _ in maps], 2)
        scores = torch.cat([score(one).flatten(2) for one, _, score in maps], 2)
        sides = (boxes.reshape(boxes.shape[0], 4, 16, -1).transpose(1, 2).softmax(1) * self.bins).sum(1)
        return torch.cat([sides, scores.sigmoid()], 1)


class Bert(nn.Module):
    """An encoder like BERT-mini: words and positions, four layers of attention under a mask; the first word is read."""

    def __init__(self, width: int = 256, heads: int = 4, depth: int = 4) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, width), nn.Embedding(LENGTH, width)
        self.norm, self.read = nn.LayerNorm(width), nn.Linear(width, 2)
        self.layers = nn.ModuleList(Encoder(width, heads) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        """As the class says."""
        hidden = self.norm(self.words(x) + self.places(torch.arange(LENGTH)))
        apart = (1.0 - mask[:, None, None, :].float()) * -10000.0
        for layer in self.layers:
            hidden = layer(hidden, apart)
        return self.read(hidden[:, 0])


class Encoder(nn.Module):
    """One layer: attention, then two linear maps with GELU between, each added to what it reads, and normalised."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, hidden: Tensor, apart: Tensor) -> Any:
        """As the class says."""

        def parted(linear: nn.Module) -> Tensor:
            return linear(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # type: ignore[no-any-return]

        query, key, value = map(parted, (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + apart
        seen = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        hidden = self.norms[0](hidden + self.out(seen))
        return self.norms[1](hidden + self.narrow(functional.gelu(self.wide(hidden))))
