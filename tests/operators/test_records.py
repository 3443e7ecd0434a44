"""What the records say of operators, against the operators themselves: each fact on small networks, value by value."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, run_graph
from helpers_operators import CASES, Case, dyadic, op

from onnx2snn.analysis.scale_propagation import give_out, take_in
from onnx2snn.graph.core import Names, constant_input, is_constant
from onnx2snn.operators import Operator, every, of
from onnx2snn.operators.linear import is_linear
from onnx2snn.operators.scales import Scale, down, has_terms, up
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.rewrite.shift_biases import _drop_constant_part

TILES = Case(op("Tile", "r"), {"r": np.array([1, 1, 2, 1])}, (4, 12, 6))
ALL = {**CASES, "tile": TILES}
LINEAR = [name for name, case in ALL.items() if not any(of(n).compares for n in case.nodes)]
SINGLE = [name for name, case in ALL.items() if len(case.nodes) == 1]
PLACED = [name for name in SINGLE if of(ALL[name].nodes[0]).places]
WEIGHTED = [name for name in SINGLE if of(ALL[name].nodes[0]).weights]


def graph_of(case: Case) -> gs.Graph:
    inputs, outputs = ({name: ["N", *sizes]} for name, sizes in (("a", case.before), ("b", case.after)))
    return infer_shapes(import_model(make_model(case.nodes, case.constants, inputs, outputs, opset=18)))


def answer(graph: gs.Graph, a: np.ndarray) -> np.ndarray:
    return run_graph(graph, {"a": a.astype(np.float32)})["b"]


def without_terms(graph: gs.Graph) -> gs.Graph:
    for node in graph.nodes:
        _drop_constant_part(Names(graph), node)
    return graph


def test_records_are_complete() -> None:
    """Of a linear operator, and of a maximum, everything has to be said; and it stands in some network of these tests."""
    tried = {node.op_type for case in ALL.values() for node in case.nodes}
    for operator in every():
        if operator.linear or operator.compares:
            assert operator.errors is not None, operator.name
            assert operator.roundings is not None, operator.name
            assert operator.name in tried
        if operator.linear:
            assert operator.counts is not None, operator.name
            absorbs = operator.weights or operator.places or operator.line or operator.sums
            assert absorbs or operator.name in ("Concat", "Mean", "Where"), operator.name  # of several scales
        if operator.compares:
            assert operator.places is not None, operator.name
    assert {o.name for o in every() if o.weights} == {"Conv", "ConvTranspose", "Gemm", "MatMul"}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_operators_are_linear(name: str) -> None:
    """And nothing is left of them without signals, once their constant terms are gone."""
    case = ALL[name]
    graph = graph_of(case)
    affine = answer(graph, np.zeros((2, *case.before)))
    graph = without_terms(graph)
    assert all(is_linear(node) for node in graph.nodes if node.op != "Dropout")
    a, b = dyadic(2, *case.before, seed=1), dyadic(2, *case.before, seed=2)
    both = answer(graph, 2 * a - 3 * b)
    np.testing.assert_allclose(both, 2 * answer(graph, a) - 3 * answer(graph, b), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(answer(graph_of(case), a), answer(graph, a) + affine, rtol=1e-5, atol=1e-5)
    samples = answer(graph, np.concatenate([a, b]))
    np.testing.assert_array_equal(samples[2:], answer(graph, b))  # each for itself


@pytest.mark.parametrize("name", [n for n in SINGLE if of(ALL[n].nodes[0]).silent])
def test_silent_operators_answer_nothing_to_nothing(name: str) -> None:
    assert not answer(graph_of(ALL[name]), np.zeros((1, *ALL[name].before))).any()


def scales_for(sizes: tuple[int, ...]) -> list[Scale]:
    """One value, one a channel, one an entry; powers of two, so that nothing is rounded."""
    shapes = [(1,) * (1 + len(sizes)), (1, sizes[0], *(1,) * (len(sizes) - 1)), (1, *sizes)]
    return [2.0 ** np.random.default_rng(7).integers(-3, 4, shape) for shape in shapes]


@pytest.mark.parametrize("name", PLACED)
def test_scales_pass(name: str) -> None:
    case = ALL[name]
    graph = graph_of(case)
    node, x = graph.nodes[0], dyadic(2, *case.before, seed=3)
    passed = []
    for scale in scales_for(case.before):
        behind = down(node, scale)
        passed.append(behind is not None)
        if behind is not None:
            np.testing.assert_array_equal(answer(graph, x * scale), answer(graph, x) * behind)
    for scale in scales_for(case.after):
        before = up(node, scale)
        if before is not None:
            np.testing.assert_array_equal(answer(graph, x * before), answer(graph, x) * scale)
    assert passed[0] is not has_terms(node)


def solid(case: Case) -> Case:
    """No weight is zero."""
    w = case.constants["w"]
    return Case(
        case.nodes, {**case.constants, "w": np.where(w == 0, np.float32(1), w)}, case.after, case.before
    )


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_take_scales_in(name: str) -> None:
    case = solid(ALL[name])
    graph, x = graph_of(case), dyadic(2, *case.before, seed=3)
    left = is_constant(graph.nodes[0].inputs[0])
    weights = of(graph.nodes[0]).weights
    assert weights is not None
    for sizes, axis, change in (
        (case.before, weights.inputs, take_in),
        (case.after, weights.channels, give_out),
    ):
        shape = [1] * (1 + len(sizes))
        shape[axis] = (1, *sizes)[axis]
        scale = 2.0 ** np.random.default_rng(7).integers(-3, 4, shape)
        scaled = graph_of(case)
        taken = change(Names(scaled), scaled.nodes[0], scale)
        assert taken is not (left or (name == "transposed conv, grouped and padded" and change is give_out))
        if taken:
            plain = answer(graph, x * scale) if change is take_in else answer(graph, x) * scale
            np.testing.assert_array_equal(answer(scaled, x), plain)


@pytest.mark.parametrize("name", WEIGHTED)
def test_products_are_counted(name: str) -> None:
    """Against the operator's matrix: of its own sums, and of the fan-out; windows over a border count as much as others."""
    case = solid(ALL[name])
    graph = without_terms(graph_of(case))
    node = graph.nodes[0]
    weights, held = of(node).weights, constant_input(node, 1)
    inputs = math.prod(case.before)
    ways = np.count_nonzero(answer(graph, np.eye(inputs).reshape(inputs, *case.before)))
    assert weights is not None
    spent = weights.sums(node)
    assert spent is not None
    total = math.prod(spent[0].shape[1:]) * spent[1]
    bordered = any(node.attrs.get("pads", ())) or node.attrs.get("auto_pad", "NOTSET") != "NOTSET"
    assert total > ways if bordered else total == ways
    if held is None:
        return
    assert math.isclose(weights.fan_out(node, held), total / inputs)
    rows = weights.rows(node, held)
    if rows is not None:
        assert len(rows) == (1, *case.after)[weights.channels]
        np.testing.assert_array_equal(weights.held(node, rows, held.shape), held)


@pytest.mark.parametrize("name", [n for n in SINGLE if of(ALL[n].nodes[0]).copies])
def test_copies_are_copies(name: str) -> None:
    case = ALL[name]
    node, x = graph_of(case).nodes[0], np.arange(1, 1 + math.prod(case.before)).reshape(1, *case.before)
    y = answer(graph_of(case), x)
    constants = [t.values for t in node.inputs if is_constant(t) and t.values.dtype == np.float32]
    known = np.concatenate([x.ravel(), [0], *(c.ravel() for c in constants)])
    copies = of(node).copies
    assert copies is not None
    assert np.isin(y, known).all() is np.bool_(copies(node))
    if of(node).moves:
        np.testing.assert_array_equal(np.sort(y.ravel()), x.ravel())


@pytest.mark.parametrize("name", [n for n in SINGLE if of(ALL[n].nodes[0]).sized_by is not None])
def test_sizes_are_those_that_an_input_lists(name: str) -> None:
    """0 and 1 stand for what the operator reads, −1 for what is left."""
    case = ALL[name]
    node = graph_of(case).nodes[0]
    listed, y = of(node).sized_by, answer(graph_of(case), np.zeros((1, *case.before)))
    assert listed is not None
    sizes = node.inputs[listed].values.tolist()
    assert len(sizes) == y.ndim
    assert all(size in (own, 0, 1, -1) for size, own in zip(sizes, y.shape, strict=True))


@pytest.mark.parametrize("name", [n for n in SINGLE if of(ALL[n].nodes[0]).compares])
def test_maxima_commute_with_what_rises(name: str) -> None:
    x = dyadic(2, *ALL[name].before, seed=3)
    graph = graph_of(ALL[name])
    np.testing.assert_array_equal(answer(graph, np.floor(x) ** 3), np.floor(answer(graph, x)) ** 3)


def entrywise(operator: Operator) -> tuple[gs.Graph, np.ndarray] | None:
    """``operator`` of x (2, 3), and of constants beside it where it reads more; None where it reads no floats."""
    schema = onnx.defs.get_schema(operator.name, 21)
    floats = [all("float" not in t for t in i.types) for i in schema.inputs]
    if all(floats):
        return None
    count = max(schema.min_input, 2 if operator.broadcasts else 1)
    names = ["a", "c", "d"][:count]
    if operator.name == "Where":
        names = ["m", "a", "c"]
    held = {"c": np.array([[0.75], [1.5]], np.float32), "m": np.array([[True], [False]])}
    attributes = {"to": onnx.TensorProto.FLOAT} if operator.name == "Cast" else {}
    attributes |= {"fmod": 1} if operator.name == "Mod" else {}
    nodes = op(operator.name, **attributes)
    nodes[0].input[:] = names
    used = {name: held[name] for name in names if name in held}
    types = {"b": onnx.TensorProto.BOOL} if operator.whole else {}
    model = make_model(nodes, used, {"a": [2, 3]}, {"b": [2, 3]}, opset=21, types=types, ir_version=10)
    return import_model(model), np.array([[0.25, 0.5, 1.25], [2, 0.75, 3]], np.float32)


@pytest.mark.parametrize("operator", [o for o in every() if o.elementwise], ids=lambda o: o.name)
def test_elementwise_operators_work_entry_by_entry(operator: Operator) -> None:
    made = entrywise(operator)
    if made is None:
        assert operator.name in ("And", "Or", "Xor", "Not")
        return
    graph, x = made
    y = answer(graph, x)
    for place in np.ndindex(x.shape):
        other = x.copy()
        other[place] += 0.3
        elsewhere = np.ones(x.shape, bool)
        elsewhere[place] = False
        np.testing.assert_array_equal(answer(graph, other)[elsewhere], y[elsewhere])


@pytest.mark.parametrize("operator", [o for o in every() if o.neutral is not None], ids=lambda o: o.name)
def test_neutral_constants_change_nothing(operator: Operator) -> None:
    model = make_model(
        op(operator.name, "c"), {"c": np.float32(operator.neutral)}, {"a": [2, 3]}, {"b": [2, 3]}
    )
    x = dyadic(2, 3)
    np.testing.assert_array_equal(answer(import_model(model), x), x)
