"""Neurons in the words of NIR.

A rate-coded one is NIR's own IF, with two things in its metadata that the primitive does not say: its reset is by subtraction
(``reset``), and it starts at half its threshold (``v_initial``).

A binary-coded one is made of NIR's other primitives, a step of time being dt:

    LI, τ = −dt, R = −1:    v ← 2·v + I          (v ← v + dt/τ·(−v + R·I))
    Threshold 2^T·θ:        s = [v + h > 2^T·θ]  in step t of generation, v having been doubled once more than in METHOD 3
    Scale −2^(T+1)·θ:       what a spike takes from v before the next doubling, over a recurrent edge: one step late
    clock:                  a pulse in the first step, delayed: brings the bias with the last current, and opens the gate (h = 0)
                            for the T steps of the layer's phase; before them h = −2⁴⁰, behind them it doubles as v does

Thresholds are the float32 below, as NIR asks for more than the threshold, and this neuron for as much.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx

from onnx2snn.exchange.nir_synapses import NirDraft, Tensor, refusal
from onnx2snn.graph.core import Array

_CLOSED = 2.0**40


def _below(value: Array) -> Array:
    below: Array = np.nextafter(value.astype(np.float32), np.float32(-np.inf), dtype=np.float32)
    return below


def _full(value: Any, shape: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(value, np.float32), shape))


def _biased(tensor: Tensor, bias: Array) -> Array:
    """All constants that reach a potential, as an array of its shape."""
    own = bias if bias.ndim <= len(tensor.shape) else bias.reshape(bias.shape[-len(tensor.shape) :])
    return _full(0.0 if tensor.bias is None else tensor.bias, tensor.shape) + own


def _by_step(operand: Array, rank: int) -> Array:
    """An operand of generation (T, ...), each step an array that broadcasts to the shape of a sample."""
    inner = operand.shape[1:]
    return operand.reshape(len(operand), *(1,) * (rank - len(inner)), *inner)


class RateNeurons:
    """Writes neurons of the rate code, which all fire in each step.

    Args:
        draft: Where.
        timesteps: T.
    """

    def __init__(self, draft: NirDraft, timesteps: int) -> None:
        self._draft, self._nir, self._T = draft, draft.nir, timesteps

    def current(self, source: str, tensor: Tensor) -> Tensor:
        """An analog tensor as a current: constant, a T-th of it in each step."""
        return Tensor((source,), tensor.shape, share=float(self._T))

    def neuron(self, node: onnx.NodeProto, tensor: Tensor, held: dict[int, Array], *, analog: bool) -> Tensor:
        """An IF node: NIR's, with a constant current for its bias."""
        compare, subtract = (_by_step(held[place], len(tensor.shape)) for place in (2, 3))
        if not (np.all(compare == compare[:1]) and np.all(subtract == subtract[:1])):
            raise refusal(node, "NIR's neuron has one threshold")
        theta, initial = _full(subtract[0], tensor.shape), _full(subtract[0] - compare[0], tensor.shape)
        made = self._nir.IF(
            r=_full(1.0, tensor.shape),
            v_threshold=_below(theta),
            metadata={"reset": "subtract", "v_initial": initial},
        )
        return Tensor(
            (self._draft.add(node.name, made, *self._with_bias(node, tensor, held[1], analog)),), tensor.shape
        )

    def readout(
        self, node: onnx.NodeProto, tensor: Tensor, held: dict[int, Array], *, analog: bool
    ) -> Tensor:
        """The currents that whoever runs the network adds up: few readers know NIR's integrator."""
        return Tensor(self._with_bias(node, tensor, held[1], analog), tensor.shape)

    def _with_bias(self, node: onnx.NodeProto, tensor: Tensor, bias: Array, analog: bool) -> tuple[str, ...]:
        """The nodes whose currents arrive, one of which brings the constants too: those of an analog current by T-ths."""
        share = Tensor(
            (), tensor.shape, None if tensor.bias is None else tensor.bias / (self._T if analog else 1)
        )
        whole = _biased(share, bias)
        if not whole.any():
            return tensor.sources
        for name in tensor.sources:
            synapses = self._draft.nodes[name]
            channels = whole.reshape(len(whole), -1)
            alone = sum(source == name for source, _ in self._draft.edges) == 0
            if alone and hasattr(synapses, "bias") and np.all(channels == channels[:, :1]):
                synapses.bias = synapses.bias + channels[:, 0]
                return tensor.sources
        return (*tensor.sources, self._constant(node, whole))

    def _constant(self, node: onnx.NodeProto, whole: Array) -> str:
        """A current that no synapse brings: what an integrator holds that a pulse in the first step has charged."""
        size = "x".join(map(str, whole.shape))
        if f"clock.{size}" not in self._draft.nodes:
            self._draft.add(f"clock.{size}", self._nir.Input({"input": np.array(whole.shape)}))
        charge = self._draft.add(f"{node.name}.bias", self._nir.Scale(whole), f"clock.{size}")
        return self._draft.add(f"{node.name}.constant", self._nir.I(_full(1.0, whole.shape)), charge)


class BinaryNeurons:
    """Writes neurons of the binary code, with the clock that they share.

    Args:
        draft: Where.
        timesteps: T.
    """

    def __init__(self, draft: NirDraft, timesteps: int) -> None:
        self._draft, self._nir, self._T = draft, draft.nir, timesteps
        self._pulses: dict[tuple[tuple[int, ...], int], str] = {}

    def current(self, source: str, tensor: Tensor) -> Tensor:
        """An analog tensor as a current: whoever runs the network presents it in the last step of the first phase."""
        return Tensor((source,), tensor.shape)

    def delayed(self, tensor: Tensor, phases: int) -> Tensor:
        """A tensor, whole phases late."""
        if not phases:
            return tensor
        late = self._nir.Delay(_full(phases * self._T, tensor.shape))
        name = f"{tensor.sources[0]}.late{phases}"
        return dataclasses.replace(tensor, sources=(self._draft.add(name, late, *tensor.sources),))

    def neuron(self, node: onnx.NodeProto, tensor: Tensor, held: dict[int, Array], stage: int) -> Tensor:
        """An IF node that integrates in phase ``stage`` and generates in the next."""
        shape, T = tensor.shape, self._T
        compare, subtract = (_by_step(held[place], len(shape)) for place in (2, 3))
        weights = 2.0 ** np.arange(T - 1, -1, -1).reshape(-1, *[1] * len(shape))
        theta = subtract[-1:]
        levels = next(a.i for a in node.attribute if a.name == "levels")
        if levels != 2**T - 1 or not (
            np.array_equal(compare, subtract) and np.all(subtract == theta * weights)
        ):
            found = f"K = {levels}"
            raise refusal(
                node,
                f"NIR's primitives make this neuron where K = 2^T − 1 = {2**T - 1} and it rounds down",
                found,
            )
        theta = _full(theta[0], shape)
        v = self._potential(node.name, tensor, held[1], (stage + 1) * T - 1)
        gate = self._gate(node.name, shape, (stage + 1) * T)
        spikes = self._draft.add(node.name, self._nir.Threshold(_below(theta * 2**T)), v, gate)
        taken = self._draft.add(f"{node.name}.taken", self._nir.Scale(-theta * 2 ** (T + 1)), spikes)
        self._draft.edges.append((taken, v))
        return Tensor((spikes,), shape)

    def readout(self, node: onnx.NodeProto, tensor: Tensor, held: dict[int, Array], stage: int) -> Tensor:
        """The potential at the end of phase ``stage``."""
        v = self._potential(node.name, tensor, held[1], (stage + 1) * self._T - 1)
        return Tensor((v,), tensor.shape)

    def _potential(self, name: str, tensor: Tensor, bias: Array, last: int) -> str:
        shape, whole = tensor.shape, _biased(tensor, bias)
        doubling = self._nir.LI(tau=_full(-1.0, shape), r=_full(-1.0, shape), v_leak=_full(0.0, shape))
        v = self._draft.add(f"{name}.v", doubling, *tensor.sources)
        if whole.any():
            brought = self._draft.add(f"{name}.bias", self._nir.Scale(whole), self._pulse(shape, last))
            self._draft.edges.append((brought, v))
        return v

    def _gate(self, name: str, shape: tuple[int, ...], opens: int) -> str:
        """Zero for T steps, so low otherwise that no potential reaches the threshold."""
        T, add = self._T, self._draft.add
        shut = add(f"{name}.shut", self._nir.Scale(_full(-_CLOSED, shape)), self._pulse(shape, 0))
        opened = add(f"{name}.opened", self._nir.Scale(_full(_CLOSED, shape)), self._pulse(shape, opens))
        before = add(f"{name}.before", self._nir.I(_full(1.0, shape)), shut, opened)
        again = add(f"{name}.again", self._nir.Scale(_full(-_CLOSED, shape)), self._pulse(shape, opens + T))
        doubling = self._nir.LI(tau=_full(-1.0, shape), r=_full(-1.0, shape), v_leak=_full(0.0, shape))
        behind = add(f"{name}.behind", doubling, again)
        return add(f"{name}.gate", self._nir.Scale(_full(1.0, shape)), before, behind)

    def _pulse(self, shape: tuple[int, ...], step: int) -> str:
        """The clock: a one in this step, for every neuron of such a layer."""
        if (shape, step) not in self._pulses:
            if step == 0:
                size = "x".join(map(str, shape))
                made = self._draft.add(f"clock.{size}", self._nir.Input({"input": np.array(shape)}))
            else:
                start = self._pulse(shape, 0)
                made = self._draft.add(f"{start}.{step}", self._nir.Delay(_full(step, shape)), start)
            self._pulses[shape, step] = made
        return self._pulses[shape, step]
