"""Every remedy that a refusal gives is followed here, by the command line, to a spiking network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers_graphs import samples
from helpers_operators import dyadic
from helpers_refused import (
    Model,
    by_another,
    by_block,
    dynamic,
    foreign,
    in_front,
    in_levels,
    larger,
    largest_sum,
    linear_quantiser,
    network,
    of_bits,
    of_one_batch,
    one,
    overflowing,
    pact,
    pictures,
    positions,
    quantised,
    resized,
    small_floats,
    spiking,
    training,
    with_weights,
    without_shapes,
)

import onnx2snn
from onnx2snn import remedies
from onnx2snn.cli import main
from onnx2snn.errors import ConversionError


@dataclass(frozen=True)
class Case:
    """A network that is refused with a remedy, and what that says, done: another network, options, another command, or all."""

    refused: Callable[[], Model]
    helped: Callable[[], Model] | None = None
    refused_with: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    refused_by: str = "convert"
    command: str = "convert"


CALIBRATED = ("--calibrate", "DATA", "--timesteps", "4")
DATA = ("--data", "DATA")
PLAIN = lambda: network(quantised, quantised)  # noqa: E731
FLOAT = lambda: network(one("Relu"), one("Relu"))  # noqa: E731
ROW = dyadic(1, 8)

FOLLOWED: dict[str, list[Case]] = {
    "CALIBRATE": [
        Case(FLOAT, options=CALIBRATED),
        Case(FLOAT, PLAIN),
        Case(lambda: network(quantised, one("Relu")), options=CALIBRATED),
        Case(lambda: network(one("Sigmoid"), one("Softmax")), options=CALIBRATED),
        Case(lambda: network(quantised, one("LeakyRelu")), options=CALIBRATED),
        Case(lambda: network(quantised, one("Softmax")), options=CALIBRATED),
    ],
    "KEEP_TOO": [Case(lambda: network(one("Relu"), one("Hardmax")), options=(*CALIBRATED, "--hybrid"))],
    "QUANTISE": [
        Case(lambda: network(quantised, by_another), PLAIN),
    ],
    "ROWS_APART": [Case(lambda: positions(folded=True), lambda: positions(folded=False))],
    "HALF_PIXEL": [Case(lambda: resized("tf_half_pixel_for_nn"), lambda: resized("half_pixel"))],
    "BATCH_IN_FRONT": [Case(pictures, lambda: pictures(1))],
    "HYBRID": [Case(lambda: network(quantised, one("Softmax")), options=("--hybrid",))],
    "FUNCTIONS": [
        Case(lambda: network(one("Hardmax"), one("Hardmax")), FLOAT, CALIBRATED, CALIBRATED),
        Case(lambda: network(one("Relu"), one("Hardmax")), FLOAT, CALIBRATED, CALIBRATED),
    ],
    "KEEP": [
        Case(lambda: network(one("Relu"), one("Hardmax")), None, CALIBRATED, (*CALIBRATED, "--hybrid")),
    ],
    "ACTIVATIONS": [Case(network, PLAIN), Case(network, FLOAT, CALIBRATED, CALIBRATED)],
    "STATIC": [
        Case(dynamic, FLOAT, options=CALIBRATED),
        Case(dynamic, FLOAT, CALIBRATED, CALIBRATED),
        Case(dynamic, PLAIN, ("--hybrid",)),
    ],
    "ONE_SAMPLE": [Case(dynamic, lambda: dynamic(1))],
    "AS_IT_IS": [
        Case(PLAIN, refused_with=CALIBRATED),
        Case(lambda: in_levels(65535), refused_with=DATA, refused_by="snap"),
    ],
    "FEWER_LEVELS": [
        Case(lambda: in_levels(65535), lambda: in_levels(255), DATA, DATA, refused_by="snap", command="snap")
    ],
    "ITS_SOURCE": [Case(spiking, PLAIN)],
    "PLATEAUS": [Case(lambda: network(quantised, pact("Floor")), lambda: network(quantised, pact("Round")))],
    "ONE_SCALE": [
        Case(lambda: network(quantised, larger("odd")), lambda: network(quantised, larger("half")))
    ],
    "ONE_SCALE_INSIDE": [
        Case(
            lambda: network(largest_sum("odd"), quantised, w1=ROW),
            lambda: network(largest_sum("half"), quantised, w1=ROW),
        )
    ],
    "CONSTANTS": [
        Case(
            lambda: network(quantised, linear_quantiser("of_data")),
            lambda: network(quantised, linear_quantiser("half")),
        )
    ],
    "CHANNEL_SCALES": [Case(by_block, PLAIN)],
    "INTEGER_CODES": [Case(small_floats, PLAIN)],
    "FEWER_BITS": [Case(lambda: of_bits([1, 1, *[20] * 6]), lambda: of_bits([1, 1, *[4] * 6]))],
    "BINARY": [Case(lambda: of_bits([1, 1, *[4] * 6]), None, ("--coding", "rate"))],
    "REPLACE": [Case(lambda: network(quantised, one("Softmax")), PLAIN)],
    "DYNAMIC_BATCH": [Case(of_one_batch, PLAIN)],
    "ALIKE": [Case(lambda: with_weights(given=True), lambda: with_weights(given=False))],
    "SHAPES": [Case(without_shapes, lambda: without_shapes([-1, 6]))],
    "AS_EXPORTED": [Case(lambda: foreign("qonnx.custom_op.general", "Unheard"), PLAIN)],
    "BEFORE_HARDWARE": [Case(lambda: foreign("finn.custom_op.fpgadataflow.hls", "Thresholding_hls"), PLAIN)],
    "IN_FRONT": [
        Case(lambda: foreign("vendor", "Unheard"), lambda: in_front(foreign("vendor", "Unheard"), "z1"))
    ],
    "EVALUATION": [Case(training, PLAIN)],
    "IN_RANGE": [Case(lambda: overflowing(1e30), lambda: overflowing(1))],
    "UNCHECKED": [Case(lambda: overflowing(1e30), options=("--no-check",))],
    "NUMBERS": [Case(lambda: network(quantised, quantised, w1=np.full((8, 8), np.nan, np.float32)), PLAIN)],
}
CASES = [(name, case) for name, cases in FOLLOWED.items() for case in cases]


def run(model: Model, options: tuple[str, ...], folder: Path, command: str = "convert") -> Any:
    np.savez(folder / "data.npz", x=samples(40, 6))
    onnx.save(model, folder / "in.onnx")
    given = [str(folder / "data.npz") if option == "DATA" else option for option in options]
    return CliRunner().invoke(main, [command, str(folder / "in.onnx"), str(folder / "out.onnx"), *given])


def inspected(model: Model) -> tuple[str, str, str]:
    """What ``inspect`` says that a conversion will say: reason, node and remedy."""
    try:
        refusal = onnx2snn.inspect_model(model).refusal
    except ConversionError as error:
        return error.message, error.node or "", error.remedy or ""
    assert refusal is not None
    return refusal.reason, refusal.node, refusal.remedy


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_what_a_refusal_says_is_done_and_helps(name: str, case: Case, tmp_path: Path) -> None:
    source = case.refused()
    refused = run(source, case.refused_with, tmp_path, case.refused_by)
    assert refused.exit_code == 3, refused.output
    said = " ".join(refused.stderr.split())
    assert getattr(remedies, name) in said
    if not case.refused_with and name not in (
        "ITS_SOURCE",
        "IN_RANGE",
        "UNCHECKED",
    ):  # a spiking network has layers to show, and no obstacle; what overflows is known when it runs
        assert [text for text in inspected(source) if text not in said] == []
    assert not (tmp_path / "out.onnx").exists()
    followed = run((case.helped or case.refused)(), case.options, tmp_path, case.command)
    assert followed.exit_code == 0, followed.stderr


def test_dynamic_quantisation_is_named() -> None:
    for options in ({}, {"hybrid": True}, {"calibrate": {"x": samples(9, 6)}}):
        with pytest.raises(ConversionError, match="its scale depends on the data") as caught:
            onnx2snn.convert(dynamic(), **options)
        assert (caught.value.node, caught.value.operator) == ("quantise1", "DynamicQuantizeLinear")


def test_no_remedy_is_left_out() -> None:
    given = {name for name, value in vars(remedies).items() if name.isupper() and isinstance(value, str)}
    assert given == set(FOLLOWED)
