"""The source as passes leave it before neurons are made: what conversion and certificate have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import onnx_graphsurgeon as gs

from onnx2snn.analysis.batch_axis import axes_elsewhere
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
        elsewhere: The axis of samples, of tensors that count them on another than the first, where it fixes its batch.
        graph: Its operators, each in the spelling that passes know.
        levels: The same with its activations as Staircase nodes.
    """

    unit: float
    lossy: bool
    elsewhere: Mapping[str, int]
    graph: gs.Graph
    levels: gs.Graph

    @classmethod
    def of(cls, model: onnx.ModelProto | SplitModel) -> NormalisedSource:
        """Of a source as it is."""
        imported = import_model(model)
        facts = facts_of(imported)
        graph = apply_owned(imported, PREPARE)
        return cls(*facts, graph, apply_owned(graph.copy(), RECOGNISE))


def facts_of(imported: gs.Graph) -> tuple[float, bool, Mapping[str, int]]:
    """What :class:`NormalisedSource` says of a source before passes change it: ``unit``, ``lossy`` and ``elsewhere``."""
    return unit_of(imported), narrowed_with_loss(imported), axes_elsewhere(imported)


def is_light(graph: gs.Graph) -> bool:
    """Whether a copy of ``graph`` may be kept beside what is made of it: passes replace constants, and change none."""
    held = {id(t.values): t.values.nbytes for node in graph.nodes for t in node.inputs if is_constant(t)}
    return sum(held.values()) <= _HELD
