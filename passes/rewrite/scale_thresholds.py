"""Quotients in front of neurons: the divisor scales the thresholds (METHOD 13)."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import integrated
from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import is_train
from onnx2snn.graph.build import Once, Spelling
from onnx2snn.graph.core import Names, graph_pass, is_constant, producer_of, signals, value_of
from onnx2snn.operators import of
from onnx2snn.operators.linear import DOMAIN, SCALED_STAIRCASE, STAIRCASE, is_line, is_quotient


@graph_pass
def scale_thresholds(graph: gs.Graph) -> gs.Graph:
    """Compare a numerator with thresholds times the divisor, in place of their quotient with thresholds.

        x ─▶ Softmax ─▶ Staircase(θ)      becomes      x ─▶ Exp(x − max) ─▶ ScaledStaircase(θ)
                                                                   └▶ ReduceSum ─▶ scale

    n/d ≥ c·θ decides as n ≥ c·θ·d, d > 0: nothing is divided, and the divisor is a potential like any other.

    1. Trains are integrated in front of numerator and divisor: both are made in the neuron's dendrite, of potentials.
    2. Factors and terms stand between: γ·n/d + β is the quotient of γ·n + β·d and d.
    3. Other readers of the quotient keep it.
    """
    names = Names(graph)
    kinds = facts(graph).kinds

    def potential_of(train: gs.Tensor) -> gs.Tensor:
        return integrated(graph, names, train)

    def parts_of(quotient: gs.Node) -> tuple[gs.Tensor, gs.Tensor]:
        read = [potential(t) if is_train(t, kinds) else t for t in quotient.inputs]
        return _spelled(graph, names, quotient, read)

    potential, parts = Once(potential_of), Once(parts_of)
    for node in list(graph.nodes):
        if (node.domain, node.op) != (DOMAIN, STAIRCASE):
            continue
        quotient, lines = _behind(node.inputs[0])
        if quotient is None:
            continue
        numerator, divisor = parts(quotient)
        for line in lines:
            numerator = _lined(Spelling(graph, names, line), line, numerator, divisor)
        node.op = SCALED_STAIRCASE
        node.inputs = [numerator, *node.inputs[1:], divisor]
    return graph


def _behind(tensor: gs.Tensor) -> tuple[gs.Node | None, list[gs.Node]]:
    """The quotient that ``tensor`` is a line of, and the factors and terms between, in their order."""
    lines: list[gs.Node] = []
    maker = producer_of(tensor)
    while maker is not None and not is_quotient(maker) and is_line(maker):
        lines.insert(0, maker)
        maker = producer_of(signals(maker)[0])
    return (maker, lines) if maker is not None and is_quotient(maker) else (None, [])


def _lined(spelling: Spelling, line: gs.Node, numerator: gs.Tensor, divisor: gs.Tensor) -> gs.Tensor:
    """Case 2: what becomes of the numerator."""
    shape = list(line.outputs[0].shape)
    if not of(line).sums:
        read = [value_of(t) if is_constant(t) else numerator for t in line.inputs]
        return spelling.apply(line.op, *read, sizes=shape, **line.attrs)
    read = [
        spelling.apply("Mul", divisor, t.values, sizes=_together(divisor.shape, t.values.shape))
        if is_constant(t)
        else numerator
        for t in line.inputs
    ]
    return spelling.apply(line.op, *read, sizes=shape)


def _together(signal: list[int | str], constant: tuple[int, ...]) -> list[int | str]:
    """The sizes of a signal and a constant that broadcast against each other."""
    rank = max(len(signal), len(constant))
    pairs = zip([1] * (rank - len(signal)) + signal, (1,) * (rank - len(constant)) + constant, strict=True)
    return [own if size == 1 else size for own, size in pairs]


def _spelled(
    graph: gs.Graph, names: Names, quotient: gs.Node, read: list[gs.Tensor]
) -> tuple[gs.Tensor, gs.Tensor]:
    spelling = of(quotient).quotient
    if spelling is None:
        raise AssertionError("a quotient has a numerator and a divisor")
    apart = gs.Node(op=quotient.op, name=quotient.name, attrs=dict(quotient.attrs), inputs=read)
    found = spelling(Spelling(graph, names, apart), apart)
    apart.inputs.clear()
    return found
