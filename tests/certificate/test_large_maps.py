"""Large maps: some rows are computed at a time, layers and activations one after the other, with the same certificate."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator

import onnx
import pytest
from helpers_graphs import samples
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.certificate import Certificate, compare, forcing, levels_in_file, potentials, verification
from onnx2snn.certificate.potentials import Path, Potentials
from onnx2snn.exact import proof
from onnx2snn.model.weights import split_model
from onnx2snn.operators.divided import TensorPart, divided
from onnx2snn.operators.parts import Span


def several(*, groups: int = 1, channels: int = 8) -> onnx.ModelProto:
    """Three layers; the second with a residual sum and a pooling; a readout of all places."""
    net = Quantised()
    a = net.quantised(net.add("Conv", "x", net.weights(channels, 3, 3, 3), pads=[1] * 4), 0.05, 100)
    w = net.weights(channels, channels // groups, 3, 3)
    z = net.add("Conv", a, w, pads=[1] * 4, group=groups)
    b = net.quantised(net.add("Relu", net.add("Add", z, a)), 0.04)
    p = net.add("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2])
    c = net.quantised(net.add("Sigmoid", net.add("Conv", p, net.weights(channels, channels, 1, 1))), 0.0041)
    net.add("Conv", c, net.weights(2, channels, 1, 1), output="y")
    return net.model({"x": ["N", 3, "H", "W"]}, {"y": ["N", 2, "h", "w"]})


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Everything is large; how often what was divided."""
    counts = {"levels": 0, "float64": 0}

    def noted(*given: object) -> list[tuple[TensorPart, ...]]:
        found = divided(*given)  # type: ignore[arg-type]
        counts["levels"] += bool(found)
        return found

    original = Path.parts

    def parts(self: Path, *given: object) -> Iterator[tuple[Span | None, Potentials]]:
        for span, one in original(self, *given):  # type: ignore[arg-type]
            counts["float64"] += span is not None
            yield span, one

    monkeypatch.setattr(forcing, "divided", noted)
    monkeypatch.setattr(Path, "parts", parts)
    for module, name in (
        (forcing, "BLOCK"), (compare, "TRAIN"), (potentials, "BLOCK"), (levels_in_file, "MOST"), (proof, "BLOCK"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 1 << 6)
    verification._comparison.cache_clear()
    yield counts
    verification._comparison.cache_clear()


def told(certificate: Certificate) -> list[object]:
    """All that does not hang on the order of sums."""
    maps = [dataclasses.replace(m, largest=0.0) for m in certificate.maps]
    outputs = [dataclasses.replace(o, max_abs_error=0.0) for o in certificate.outputs]
    return [certificate.layers, maps, outputs, certificate.lossless, certificate.exact, certificate.defects]


@pytest.mark.parametrize("name", ["whole", "depthwise"])
def test_the_certificate_is_the_same(name: str, request: pytest.FixtureRequest) -> None:
    source, inputs = several(groups=8 if name == "depthwise" else 1), {"x": samples(3, 3, 10, 12)}
    conversion = onnx2snn.convert(source)
    whole = onnx2snn.verify(source, conversion, inputs)
    counts = request.getfixturevalue("little_memory")
    parted = onnx2snn.verify(source, conversion, inputs)
    assert min(counts.values()) > 2
    assert told(parted) == told(whole)
    for one, other in zip(parted.maps, whole.maps, strict=True):
        assert one.largest == pytest.approx(other.largest, rel=1e-3, abs=1e-6)


def broken(conversion: onnx2snn.Conversion) -> onnx.ModelProto:
    """One weight of the second layer turned round."""
    model = onnx.ModelProto()
    model.CopyFrom(conversion.model)
    convolutions = [n for n in model.graph.node if n.op_type == "Conv"]
    tensor = next(t for t in model.graph.initializer if t.name == convolutions[1].input[1])
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[3, 2, 0, 0] = -2 * values[3, 2, 0, 0] - 1
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return model


def test_defects_are_found_at_the_same_neurons(request: pytest.FixtureRequest) -> None:
    source, inputs = several(), {"x": samples(2, 3, 10, 12)}
    model = broken(onnx2snn.convert(source))
    whole = onnx2snn.verify(source, model, inputs)
    request.getfixturevalue("little_memory")
    parted = onnx2snn.verify(source, model, inputs)
    assert not whole.lossless
    assert [layer.unexplained for layer in parted.layers] == [layer.unexplained for layer in whole.layers]
    assert [m.differing for m in parted.maps] == [m.differing for m in whole.maps]
    network = comparison(source, model)
    levels, layers = network.answer(inputs).levels, {p.name: p.source for p in network.pairs}
    seen = [d for d in parted.defects if d.sample is not None]
    assert seen
    for one in seen:
        assert one.neuron[0] == 3
        assert levels[layers[one.layer]][(one.sample, *one.neuron)] == one.ann


def test_memory_does_not_grow_with_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """What NumPy holds while a map is computed on in float64, beside the levels themselves, which are bytes."""
    source = several(channels=16)
    conversion = onnx2snn.convert(source)
    monkeypatch.setattr(potentials, "BLOCK", 1 << 16)
    monkeypatch.setattr("onnx2snn.float64.reference_kernels.WINDOW_LIMIT", 1 << 16)
    held = []
    for size in (128, 384):
        x = {"x": samples(1, 3, size, size)}
        network = comparison(source, conversion.model)
        levels = network.answer(x).levels
        p = network.pairs[1]
        path = network.path(network.layer_tensors(p), x, levels)
        given = {f"level/{name}": k for name, k in levels.items()} | x
        tracemalloc.start()
        for _, one in path.parts(given):
            assert one.source.nbytes <= 8 << 16
            del one
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert held[1] < 1.5 * held[0]
    assert held[1] < 2 * 8 * levels[p.source].size  # two of some twenty that are made of all of it


def comparison(source: onnx.ModelProto, model: onnx.ModelProto) -> compare.Comparison:
    """Both networks."""
    split, content = (split_model(source), split_model(model)), model.SerializeToString()
    return compare.Comparison(*split, content, execution="spiking", backend="onnxruntime")
