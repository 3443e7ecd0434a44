"""What a conversion hands to its check is the source as the check itself would normalise it, whatever became of it since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn import conversion
from onnx2snn.certificate import normalised_source
from onnx2snn.certificate.normalised_source import NormalisedSource
from onnx2snn.certificate.samples import random_samples
from onnx2snn.certificate.source_network import SourceNetwork
from onnx2snn.data import input_specs
from onnx2snn.errors import ConversionError
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.weights import SplitModel

FILES = sorted((Path(__file__).parents[1] / "corpus").glob("*.onnx"))
assert len(FILES) > 4


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[NormalisedSource | None]:
    """What checks were given."""
    found: list[NormalisedSource | None] = []
    check = conversion.check_finished

    def spied(*arguments: Any, normalised: NormalisedSource | None = None, **options: Any) -> str:
        found.append(normalised)
        return check(*arguments, normalised=normalised, **options)

    monkeypatch.setattr(conversion, "check_finished", spied)
    return found


def as_text(model: SplitModel) -> str:
    """Nodes and small constants, whoever made it and whatever domains it names."""
    return str(model.structure.graph)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_conversions_hand_on_what_the_check_would_make(
    file: Path, handed: list[NormalisedSource | None]
) -> None:
    try:
        onnx2snn.convert(file)
    except ConversionError as error:
        assert "is a float network" in str(error)  # noqa: PT017 - refused before there is anything to check
        assert not handed
        return
    (given,) = handed
    assert given is not None
    model = onnx.load(file)
    own = NormalisedSource.of(model)
    assert (given.unit, given.lossy) == (own.unit, own.lossy)
    for mine, theirs in ((own.graph, given.graph), (own.levels, given.levels)):
        one, other = to_split_model(mine), to_split_model(theirs)
        assert as_text(one) == as_text(other)
        assert one.weights.keys() == other.weights.keys()
        for name, values in one.weights.items():
            np.testing.assert_array_equal(values, other.weights[name])
    samples = {name: value[:4] for name, value in random_samples(input_specs(model)).items()}
    fresh, known = SourceNetwork(model)(samples), SourceNetwork(model, given)(samples)
    for name, levels in fresh.levels.items():
        np.testing.assert_array_equal(levels, known.levels[name])


def test_large_sources_are_normalised_again(
    handed: list[NormalisedSource | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalised_source, "_HELD", 0)
    onnx2snn.convert(FILES[0])
    assert handed == [None]
