"""A certificate must catch a changed network: one change each, also tiny ones. ``benchmarks/mutations.py`` makes many more."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from helpers_corpus import Example

import onnx2snn

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = (
    "torchts17__plain-pact4-nofold-dyn",
    "brevitas__plain-a2w2-qonnx",
    "torchts17__conv1d-qcfs16-dyadic-nofold-dyn",
    "ortquant__mlp-relu-qdq_s8sym",
)
#: What only some networks hold.
SPECIAL = {
    "order of a concatenation": "torchts13__dense-qcfs8c-dyn",
    "scale of a branch doubled": "torchts17__mobile-qcfs16-dyadic-dyn",
    "half up, not half to even": "ortquant__mlp-relu-qdq_s8sym",
    "padding on one side": "torchts17__plain-pact4-nofold-dyn",
    "kernels turned round": "torchts17__plain-pact4-nofold-dyn",
    "another pooling": "torchts17__plain-pact4-nofold-dyn",
    "weights as bfloat16": "torchts17__plain-pact4-nofold-dyn",
    "ceiling one level lower": "ortquant__mlp-relu-qdq_s8sym",
    "a table's threshold one ulp lower": "curve",
    "a table's bias off by 1e-4": "attention",
    "a quotient's comparisons 1e-4 higher": "attention",
    "a quotient's divisor forgotten": "attention",
    "operands of a product exchanged": "attention",
    "held operands of two products exchanged": "attention",
}
#: With K = 2^T − 1 levels there is nothing above the ceiling that T spikes could say.
EQUIVALENT = ("no ceiling",)
KINDS = 38


@pytest.fixture(scope="module")
def benchmark() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("mutations")


@pytest.mark.parametrize("number", range(KINDS))
def test_no_mutant_survives(benchmark: Any, number: int) -> None:
    assert len(benchmark.MUTATIONS) == KINDS
    mutation = benchmark.MUTATIONS[number]
    name = SPECIAL.get(mutation.kind, NETWORKS[number % len(NETWORKS)])
    source, samples = benchmark.source_of(name), benchmark.samples_of(name, 4)
    right = onnx2snn.convert(source).model
    mutants = list(mutation.mutants(right, most=1, seed=number))
    assert mutants
    for _, mutant in mutants:
        found = benchmark.verdict(source, mutant, samples, right)
        assert found in (("equivalent",) if mutation.kind in EQUIVALENT else ("caught", "refused"))


def test_the_snn_of_another_network_is_refused() -> None:
    first, second = (Example(n) for n in ("torchts17__plain-pact4-nofold-dyn", "torchts13__dense-qcfs8c-dyn"))
    model = first.conversion.model
    with pytest.raises(onnx2snn.InvalidModelError, match="not made from this source"):
        onnx2snn.verify(second.path, model, second.inputs)
