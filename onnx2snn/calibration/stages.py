"""A network cut into stages, one for each activation: every operator is computed once, however many activations there are.

    inputs ─▶ stage 0 ─▶ z₀ ─▶ a₀ ─▶ stage 1 ─▶ z₁ ─▶ a₁ ─▶ ... ─▶ last stage ─▶ outputs

Stage i holds the operators that z_i needs and no earlier stage has computed. What later stages read is kept until the last of
them has read it, and nothing else is: memory holds what crosses from stage to stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, is_constant, is_float, producer_of
from onnx2snn.graph.exporter import to_model
from onnx2snn.graph.walks import reached
from onnx2snn.model.reference import Reference

#: Samples that a stage computes at a time.
CHUNK = 16


@dataclass(frozen=True)
class Stage:
    """The operators between given tensors and wanted ones.

    Attributes:
        nodes: In topological order.
        given: Names of tensors that earlier stages, activations or the network's inputs hold.
        wanted: Names of tensors that it is computed for, and that later stages read.
        done: Names of tensors that nothing reads any more once it has run.
    """

    nodes: tuple[gs.Node, ...]
    given: tuple[str, ...]
    wanted: tuple[str, ...]
    done: tuple[str, ...] = ()

    def model(self, graph: gs.Graph, sizes: Sequence[int | str] | None = None) -> onnx.ModelProto:
        """As a model of its own, with the weights that the nodes hold now; all of its tensors may be given other ``sizes``."""
        tensors: dict[str, gs.Tensor] = {}
        nodes = []
        for node in self.nodes:
            inputs = [_twin(t, tensors) for t in node.inputs]
            outputs = [_twin(t, tensors) for t in node.outputs]
            nodes.append(
                gs.Node(
                    node.op,
                    node.name,
                    attrs=dict(node.attrs),
                    inputs=inputs,
                    outputs=outputs,
                    domain=node.domain,
                )
            )
        known = graph.tensors()
        given = [_twin(known[name], tensors) for name in self.given]
        wanted = [_twin(known[name], tensors) for name in self.wanted if name not in self.given]
        for tensor in tensors.values() if sizes is not None else ():
            tensor.shape = sizes
        return to_model(gs.Graph(nodes, given, wanted, name="stage", opset=graph.opset))

    def run(self, graph: gs.Graph, held: Mapping[str, Array], samples: int) -> dict[str, Array]:
        """The wanted tensors of the tensors that are ``held``, of so many samples; each has one row of a sample, or several."""
        found = {name: held[name] for name in self.wanted if name in self.given}
        if len(found) == len(self.wanted):
            return found
        reference = Reference(self.model(graph))
        parts: dict[str, list[Array]] = {}
        for start in range(0, samples, CHUNK):
            chunk = {name: _rows(held[name], start, samples) for name in self.given}
            for name, value in reference.run(chunk).items():
                parts.setdefault(name, []).append(value)
        return found | {name: np.concatenate(values) for name, values in parts.items()}


def _rows(values: Array, start: int, samples: int) -> Array:
    """Those of :data:`CHUNK` samples."""
    each = len(values) // samples
    return values[start * each : (start + CHUNK) * each]


def _twin(tensor: gs.Tensor, tensors: dict[str, gs.Tensor]) -> gs.Tensor:
    if tensor.is_empty() or is_constant(tensor):
        return gs.Constant(tensor.name, tensor.values) if is_constant(tensor) else gs.Variable.empty()
    if tensor.name not in tensors:
        tensors[tensor.name] = gs.Variable(tensor.name, tensor.dtype, tensor.shape)
    return tensors[tensor.name]


def make_stages(
    graph: gs.Graph, wanted: Sequence[Iterable[str]], given: Sequence[str], last: Iterable[str]
) -> list[Stage]:
    """One stage for each entry of ``wanted``, and a last one.

    Args:
        graph: With inferred shapes, batch free.
        wanted: For each stage, the tensors that it is for.
        given: The tensor that becomes known when a stage is over: its activation.
        last: What the last stage is for: the network's outputs.
    """
    tensors = graph.tensors()
    order = {id(node): position for position, node in enumerate(graph.nodes)}
    known = {t.name for t in graph.inputs}
    parts: list[tuple[list[gs.Node], set[str], set[str]]] = []
    for position, names in enumerate([*wanted, last]):
        found = _needed([tensors[name] for name in names], known)
        nodes = sorted(found, key=lambda n: order[id(n)])
        made = {t.name for node in nodes for t in node.outputs}
        read = {t.name for node in nodes for t in node.inputs if not is_constant(t)}
        parts.append((nodes, (read | set(names)) & known, set(names)))
        known |= {t.name for node in nodes for t in node.outputs if _is_kept(t)} | set(names) & made
        if position < len(given):
            known.add(given[position])
    return _with_lifetimes(parts)


def _needed(targets: list[gs.Tensor], known: set[str]) -> list[gs.Node]:
    def makers(tensors: Sequence[gs.Tensor]) -> list[gs.Node]:
        made = [producer_of(t) for t in tensors if not is_constant(t) and t.name not in known]
        return [node for node in made if node is not None]

    return list(reached(makers(targets), lambda node: makers(node.inputs)))


def _is_kept(tensor: gs.Tensor) -> bool:
    """Values of samples: sizes and the like are computed again where they are needed."""
    return is_float(tensor) and bool(tensor.shape) and isinstance(tensor.shape[0], str)


def _with_lifetimes(parts: list[tuple[list[gs.Node], set[str], set[str]]]) -> list[Stage]:
    stages: list[Stage] = []
    later: set[str] = set()
    for nodes, given, names in reversed(parts):
        made = {t.name for node in nodes for t in node.outputs}
        wanted = names | (made & later)
        done = (given | wanted) - later
        stages.append(Stage(tuple(nodes), tuple(sorted(given)), tuple(sorted(wanted)), tuple(sorted(done))))
        later |= given
    return stages[::-1]
