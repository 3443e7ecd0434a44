"""A network of any inputs and outputs as one of a row each: what trains, counts and prunes it knows rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Port:
    """An input or an output, and where it lies in a row.

    Attributes:
        name: As the network has it.
        shape: Of one sample.
        dtype: Of its values; a row holds them as float32.
        begin: Its first place in a row.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    begin: int

    @property
    def end(self) -> int:
        """The place behind its last."""
        return self.begin + math.prod(self.shape)

    def of(self, rows: Tensor) -> Tensor:
        """Its values (n, ...) in ``rows`` (n, places)."""
        return rows[:, self.begin : self.end].reshape(-1, *self.shape).to(self.dtype)


def ports_of(values: Mapping[str, np.ndarray[Any, Any]]) -> tuple[Port, ...]:
    """The ports that hold ``values``, (N, ...) each, one behind the other."""
    ports: list[Port] = []
    for name, value in values.items():
        begin = ports[-1].end if ports else 0
        ports.append(Port(name, value.shape[1:], _tensor(value[:0]).dtype, begin))
    return tuple(ports)


def rows_of(values: Mapping[str, np.ndarray[Any, Any]]) -> Tensor:
    """``values`` side by side, float32 (N, places)."""
    return torch.cat([_tensor(v).reshape(len(v), -1).float() for v in values.values()], dim=1)


def _tensor(values: np.ndarray[Any, Any]) -> Tensor:
    """As torch holds it: of numbers that NumPy has no letter for (bfloat16), float32."""
    return torch.as_tensor(values if values.dtype.kind in "biuf" else values.astype(np.float32))


class Rows(nn.Module):
    """From rows of inputs (n, ...) to rows of those outputs that training is about.

    Args:
        network: Takes a tensor an input, gives a tensor an output, or the only one.
        inputs: In the network's order.
        wanted: Positions of the outputs.
    """

    def __init__(self, network: nn.Module, inputs: Sequence[Port], wanted: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self._inputs, self._wanted = tuple(inputs), tuple(wanted)

    def forward(self, rows: Tensor) -> Tensor:
        """(n, places of all wanted outputs)."""
        found = self.network(*(port.of(rows) for port in self._inputs))
        values = [found] if isinstance(found, Tensor) else list(found)
        return torch.cat([values[at].flatten(1) for at in self._wanted], dim=1)
