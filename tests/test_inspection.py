"""What is in a model: activations and misses, before and after conversion."""

from __future__ import annotations

from helpers_corpus import Example

from onnx2snn.inspection import inspect_model


def test_every_operator_that_a_conversion_would_refuse_is_named() -> None:
    inspection = inspect_model(Example("torchts13__plain-silu-b1").path)
    assert not inspection.activations
    assert {miss.operator for miss in inspection.rejected} == {"Sigmoid", "Mul"}
    assert len(inspection.rejected) == 8
    assert all(miss.reason and "--hybrid" in miss.remedy for miss in inspection.rejected)


def test_a_float_activation_says_what_is_missing() -> None:
    inspection = inspect_model(Example("torchts17__mlp-relu-dyn").path)
    assert [miss.node for miss in inspection.rejected] == ["/f/f.2/Relu", "/f/f.4/Relu"]
    assert all("nothing rounds it" in miss.reason for miss in inspection.rejected)


def test_the_same_activations_before_and_after() -> None:
    example = Example("torchts17__plain-pact4-nofold-dyn")
    before = inspect_model(example.path)
    after = inspect_model(example.conversion.model)
    assert not before.rejected
    assert [a.levels for a in before.activations] == [a.levels for a in after.activations]
    assert before.timesteps == after.timesteps == 4
