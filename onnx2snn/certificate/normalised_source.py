"""The source as passes leave it before neurons are made: what conversion and certificate have in common."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_graphsurgeon as gs

from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.certificate.reading import narrowed_with_loss, unit_of
from onnx2snn.graph.core import is_constant
from onnx2snn.model.weights import SplitModel
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.importer import import_model

#: Bytes of constants that are held while neurons are made of the same; of more the source is normalised once again.
_HELD = 1 << 26


@dataclass(frozen=True)
class NormalisedSource:
    """The source in one spelling.

    Attributes:
        unit: Unit roundoff of its numbers.
        lossy: Whether it casts numbers to a type that does not hold them all.
        graph: Its operators, each in the spelling that passes know.
        levels: The same with its activations as Staircase nodes.
    """

    unit: float
    lossy: bool
    graph: gs.Graph
    levels: gs.Graph

    @classmethod
    def of(cls, model: onnx.ModelProto | SplitModel) -> NormalisedSource:
        """Of a source as it is."""
        imported = import_model(model)
        unit, lossy = unit_of(imported), narrowed_with_loss(imported)
        graph = apply_owned(imported, PREPARE)
        return cls(unit, lossy, graph, apply_owned(graph.copy(), RECOGNISE))


def is_light(graph: gs.Graph) -> bool:
    """Whether a copy of ``graph`` may be kept beside what is made of it: passes replace constants, and change none."""
    held = {id(t.values): t.values.nbytes for node in graph.nodes for t in node.inputs if is_constant(t)}
    return sum(held.values()) <= _HELD
