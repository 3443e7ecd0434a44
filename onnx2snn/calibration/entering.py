"""Currents that enter synapses: where an exact network needs a quantiser beside those of its activations.

Synapses behind synapses, a linear bottleneck, multiply what they read by weights twice without a neuron between: the 24 bits of
float32 would have to hold both weights. A quantiser in between, signed as its data are, gives each its own (METHOD 14).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.recognise import recognise
from onnx2snn.analysis.dataflow import influencing
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Array, Names, origin
from onnx2snn.graph.exporter import with_outputs
from onnx2snn.operators import of
from onnx2snn.operators.linear import float_signals, is_linear, is_weighted

#: On a Clip that was put in: its range is chosen from data.
CHOSEN = "_onnx2snn_chosen"


class Entering:
    """Which tensors need a quantiser.

    Args:
        graph: Prepared.
        lines: By id, outputs of clipped lines, which will be staircases.
    """

    def __init__(self, graph: gs.Graph, lines: Collection[int]) -> None:
        self._quantised = {id(found.output) for found in recognise(graph).found} | set(lines)
        self._currents: set[int] = set()
        self.wanted: dict[int, gs.Tensor] = {}
        leading = influencing(graph, lambda node: any(id(t) in lines for t in node.outputs))
        for node in graph.nodes:
            read = float_signals(node)
            if is_weighted(node) and len(read) == 1:
                if id(read[0]) in self._currents and id(node.outputs[0]) in leading:
                    self.wanted[id(read[0])] = read[0]
                    self._currents.discard(id(read[0]))
                made = True
            else:
                passes = is_linear(node) or of(node).compares is not None
                made = passes and any(id(t) in self._currents for t in read)
            self._currents.update(id(t) for t in node.outputs if made and id(t) not in self._quantised)


def put_clips(graph: gs.Graph, wanted: Collection[gs.Tensor]) -> None:
    """A Clip behind each tensor, whose range is to be chosen: a clipped line, as others are.

    f ─▶ x ─▶ Conv      becomes      f ─▶ x/float ─▶ Clip ─▶ x ─▶ Conv
    """
    names = Names(graph)
    for tensor in wanted:
        out = gs.Variable(names.fresh(f"{tensor.name}/quantised"), np.float32, list(tensor.shape))
        for reader in list(tensor.outputs):
            reader.inputs = [out if t is tensor else t for t in reader.inputs]
        limits = [
            make_constant(names, f"{tensor.name}/{end}", np.float32(v))
            for end, v in (("low", -1), ("high", 1))
        ]
        maker = tensor.inputs[0]
        node = gs.Node(
            "Clip", names.fresh(f"{tensor.name}/quantiser"), inputs=[tensor, *limits], outputs=[out]
        )
        node.attrs.update({CHOSEN: True, ORIGIN: origin(maker)})
        graph.nodes.append(node)
        if not any(tensor is t for t in graph.outputs):
            tensor.name, out.name = names.fresh(f"{tensor.name}/float"), tensor.name


#: Values that a range is chosen from, and shares of what was seen that are tried for its ends.
_VALUES, _SHARES = 50_000, np.linspace(0.2, 1.0, 9)


def choose_ranges(graph: gs.Graph, source: gs.Graph, samples: Mapping[str, Array], levels: int) -> None:
    """Set the limits of what was put in: of least squared error with ``levels`` steps between them.

    Args:
        graph: With the Clips; changed.
        source: Without, its tensors of the same names.
        samples: Inputs (N, ...).
    """
    put_in = [node for node in graph.nodes if CHOSEN in node.attrs]
    if not put_in:
        return
    known = source.tensors()
    of_source = {id(n): n.outputs[0].name if n.outputs[0].name in known else n.inputs[0].name for n in put_in}
    network = with_outputs(source, list(of_source.values()))
    seen: dict[str, list[Array]] = {name: [] for name in of_source.values()}
    count = len(next(iter(samples.values())))
    for first in range(count):
        found = network.run({n: v[first : first + 1] for n, v in samples.items()}, list(seen))
        for name, parts in seen.items():
            flat = found[name].ravel()
            parts.append(flat[:: max(1, flat.size * count // _VALUES)].astype(np.float64))
    for node in put_in:
        ends = best_range(np.concatenate(seen[of_source[id(node)]]), levels)
        for position, end in enumerate(ends, 1):
            node.inputs[position] = gs.Constant(node.inputs[position].name, np.asarray(end, np.float32))


def best_range(values: Array, levels: int) -> tuple[float, float]:
    """The ends between which ``levels`` equal steps come nearest to ``values``; 0 lies between them."""
    low, high = min(float(values.min(initial=0)), 0.0), max(float(values.max(initial=0)), 0.0)
    best, least = (low, high if high > low else low + 1.0), np.inf
    for bottom in _SHARES if low < 0 else (1.0,):
        for top in _SHARES if high > 0 else (1.0,):
            ends = bottom * low, top * high
            step = (ends[1] - ends[0]) / levels
            if step <= 0:
                continue
            nearest = np.rint(np.clip((values - ends[0]) / step, 0, levels)) * step + ends[0]
            wrong = float(np.mean((nearest - values) ** 2))
            if wrong < least:
                best, least = ends, wrong
    return best
