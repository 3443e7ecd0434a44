"""Neurons whose thresholds are scaled by the sample: the level of every potential is that of their own comparisons."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnx2snn.activations.neuron import Staircase, neuron_parameters
from onnx2snn.compile.draft import Draft
from onnx2snn.compile.fused import FusedWriter
from onnx2snn.compile.one_node import session_of
from onnx2snn.compile.scaled_search import scaled_search
from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime.target import Target


def draft_of(theta: float, levels: int, rounding: str, *, elements: bool) -> Draft:
    """One neuron that reads ``x`` (N, 1) and the scale ``s`` (N, 1)."""
    one = Staircase(
        *(np.array(v) for v in (theta, 0.0)),
        levels,
        np.array(levels),
        np.array(theta),
        np.array(0.0),
        np.asarray(rounding),
    )
    held = neuron_parameters(one, one.timesteps)
    constants = {
        "bias": np.zeros(1, np.float32),
        "compare": held.compare.reshape(-1, 1),
        "subtract": held.subtract.reshape(-1, 1),
        "ceiling": held.ceiling.reshape(1),
    }
    node = onnx.helper.make_node(
        "ScaledIF",
        ["x", *constants, "s"],
        ["k"],
        domain=DOMAIN,
        timesteps=one.timesteps,
        levels=levels,
        input_steps=1,
    )
    infos = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N", 1]) for n in ("x", "s", "k")]
    tensors = [numpy_helper.from_array(v, n) for n, v in constants.items()]
    graph = onnx.helper.make_graph([node], "one", infos[:2], infos[2:], tensors)
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid(DOMAIN, 2)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return Draft(SplitModel(model, {}), Target(elements=elements))


def levels_of(draft: Draft, x: np.ndarray, s: np.ndarray) -> np.ndarray:
    FusedWriter(draft).run()
    session = session_of(draft.finished().whole())
    return np.asarray(session.run(None, {"x": x[:, None], "s": s[:, None]})[0])[:, 0]


@pytest.mark.parametrize("rounding", ["half_even", "half_odd", "floor"])
@pytest.mark.parametrize("levels", [1, 6, 255, 2047])
def test_levels_at_and_around_every_threshold(rounding: str, levels: int) -> None:
    random = np.random.default_rng(levels)
    theta = float(np.float32(random.uniform(0.01, 3)))
    scale = np.float32(random.lognormal(0, 4, 7))
    place = np.concatenate(
        [np.arange(levels + 2) - 0.5, np.arange(levels + 2.0), random.uniform(-3, levels + 3, 99)]
    )
    near = (place * theta * scale[:, None]).astype(np.float32)
    x = np.concatenate(
        [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, -np.float32(np.inf))], axis=1
    )
    s = np.broadcast_to(scale[:, None], x.shape)
    expected = levels_of(draft_of(theta, levels, rounding, elements=False), x.reshape(-1), s.reshape(-1))
    here = draft_of(theta, levels, rounding, elements=True)
    assert scaled_search(here, here.nodes[0]) is not None
    np.testing.assert_array_equal(levels_of(here, x.reshape(-1), s.reshape(-1)), expected)
    assert expected.max() == levels
    assert expected.min() == 0


def test_thresholds_that_are_next_to_zero_are_compared_bit_by_bit() -> None:
    draft = draft_of(0.5, 15, "ceil", elements=True)
    assert scaled_search(draft, draft.nodes[0]) is None


def test_what_is_no_number_or_beyond_whole_ones_finds_the_level_of_comparisons() -> None:
    """A token that looks at nothing has a row of attention that is 0 / 0."""
    ends = np.float32([np.nan, np.inf, -np.inf, 3e38, -3e38, 0, 1])
    x, s = (some.reshape(-1) for some in np.meshgrid(ends, np.float32([np.nan, 0, 1e-30, 1, 1e30])))
    expected, found = (
        levels_of(draft_of(0.5, 15, "half_even", elements=here), x, s) for here in (False, True)
    )
    np.testing.assert_array_equal(found[s > 0], expected[s > 0])
    assert not found[np.isnan(s) | np.isnan(x)].any()
