"""A small vision transformer of real digits, converted by SpikingJelly's STA and by onnx2snn: answers over time steps.

    pip install 'onnx2snn[train]' spikingjelly
    python benchmarks/transformer_peers.py --data mnist.npz

The network of examples/vision is trained in floats as examples/vision/train.py does it. Both tools get those weights and the
same 256 training digits without labels; beside them, onnx2snn converts the network trained on with quantisers, in 8 bits and
in 4. All are asked about the same 1,000 digits. STA (Jiang et al., ICLR 2024) runs as SpikingJelly's own example runs it:
``spiking_encoder``, the image in the first time step and nothing after, the answer the sum over T steps, thresholds of least
squared error. Its encoders stand behind layer norms, GELU and attention; these, and all inside attention, compute on
accumulated floats. An encoder sends any whole number of thresholds in a step. In a second line it sends one at most, which is
a change of ours, with the other thresholds that SpikingJelly has, the largest value by T (those of least squared error leave
large values to large numbers). Results go to results/transformer_peers.json and are printed as a table.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibration_digits import calibration_digits, test_digits
from torch import Tensor, nn

import onnx2snn
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import make_runner
from onnx2snn.runtime import SpikingSession
from onnx2snn.units import si

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

from digits.train import load
from vision.networks import Block, VisionTransformer
from vision.train import export, in_bits, train

RESULTS = Path(__file__).resolve().parent / "results" / "transformer_peers.json"
THEIRS, OURS = (4, 8, 16, 32, 64), (4, 6, 8)
#: By name: how thresholds are chosen, and whether a step has one spike of a value at most.
VARIANTS = {"SpikingJelly, STA": ("mse", False), "the same, one spike a step at most": ("max", True)}
#: Digits that certificates compare neuron by neuron.
CERTIFIED = 32
_TITLES = (
    "", "T", "right, %", "as the float network, %", "as the quantised one, %", "spikes", "largest spike",
    "in the first step, %", "time steps to an answer",
)  # fmt: skip


class PlainBlock(nn.Module):
    """A block of examples/vision, of modules that a tracer of modules knows."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        width = block.attention.out.in_features
        self.norms, self.layers = block.norms, nn.Sequential(block.layers[0], nn.GELU(), block.layers[4])
        self.attention = nn.MultiheadAttention(width, block.attention.heads, batch_first=True)
        pairs = {"in_proj_": block.attention.project, "out_proj.": block.attention.out}
        self.attention.load_state_dict(
            {
                prefix + name: value
                for prefix, one in pairs.items()
                for name, value in one.state_dict().items()
            }
        )

    def forward(self, x: Tensor) -> Any:
        """As the class says."""
        y = self.norms[0](x)
        mixed, _ = self.attention(y, y, y, need_weights=False)
        x = x + mixed
        return x + self.layers(self.norms[1](x))


class PlainTransformer(nn.Module):
    """The network of examples/vision without quantisers."""

    def __init__(self, network: VisionTransformer) -> None:
        super().__init__()
        self.patches, self.places = network.patches, network.places
        self.blocks = nn.Sequential(*map(PlainBlock, network.blocks))  # type: ignore[arg-type]
        self.norm, self.head = network.norm, network.head

    def forward(self, image: Tensor) -> Any:
        """As the class says."""
        x = self.patches(image).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(x)).mean(1))


def sta(network: nn.Module, timesteps: int, thresholds: str, one: bool) -> dict[str, Any]:
    """What STA answers, and what its encoders send for a digit."""
    from spikingjelly.activation_based import functional  # noqa: PLC0415 - a peer
    from spikingjelly.activation_based.ann2snn import Converter, STATransformerRecipe  # noqa: PLC0415
    from spikingjelly.activation_based.ann2snn.recipes.sta_transformer import _STASpikeEncoder  # noqa: PLC0415

    digits = [torch.as_tensor(calibration_digits())]
    recipe = STATransformerRecipe(digits, timesteps, "spiking_encoder", thresholds)
    converted = Converter(recipe).convert(network).eval()
    functional.set_step_mode(converted, "m")
    sent: list[Tensor] = []

    def meter(encoder: Any, _: Any, output: Tensor) -> None:
        sent.append((output / encoder.v_threshold).round().abs())

    for module in converted.modules():
        if isinstance(module, _STASpikeEncoder):
            module.register_forward_hook(meter)
            if one:
                module.single_step_functional_forward = partial(_one_spike, module)
    image = torch.as_tensor(test_digits()[0])
    steps = torch.zeros(timesteps, *image.shape)
    steps[0] = image
    with torch.no_grad():
        answer = converted(steps).sum(0).numpy()
    spikes = sum(float(one.sum()) for one in sent)
    return {
        "answer": answer,
        "spikes": spikes / len(image),
        "largest": max(float(one.max()) for one in sent),
        "first": sum(float(one[0].sum()) for one in sent) / spikes,
        "steps": timesteps,
    }


def _one_spike(encoder: Any, inputs: tuple[Tensor], states: tuple[Tensor], **_: Any) -> Any:
    """A time step of an encoder that sends one threshold at most, or minus one."""
    held = states[0] + inputs[0]
    sent = torch.trunc(held / encoder.v_threshold).clamp(-1, 1) * encoder.v_threshold
    return (sent,), (held - sent,)


def ours(source: Path, timesteps: int | None = None) -> dict[str, Any]:
    """What the spiking network answers, calibrated or as it is, and whether it is certified."""
    images = test_digits()[0]
    network: Any = source
    if timesteps is not None:
        network = onnx2snn.calibrate(source, {"image": calibration_digits()}, timesteps=timesteps).model
    conversion = onnx2snn.convert(network)
    certificate = onnx2snn.verify(network, conversion, {"image": images[:CERTIFIED]})
    result = SpikingSession(conversion, execution="fused").run({"image": images})
    answer = result.outputs["logits"]
    quantised = make_runner(load_model(network))({"image": images})["logits"]
    return {
        "answer": answer,
        "quantised": float(np.mean(quantised.argmax(1) == answer.argmax(1))),
        "timesteps": conversion.timesteps,
        "spikes": float(sum(one.mean() for one in result.spikes.values())),
        "largest": 1,
        "first": None,
        "steps": conversion.steps,
        "lossless": certificate.lossless,
        "differing": sum(layer.levels_compared - layer.exact for layer in certificate.layers),
        "compared": sum(layer.levels_compared for layer in certificate.layers),
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A line a conversion."""
    rows = [_TITLES, ("---",) * len(_TITLES), *(_row(one) for one in found.values())]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    percent = [
        f"{100 * one[k]:.1f}" if one.get(k) is not None else "" for k in ("right", "same", "quantised")
    ]
    first = "" if one.get("first") is None else f"{100 * one['first']:.0f}"
    spent = (
        [si(one["spikes"]), f"{one['largest']:.0f}", first, str(one["steps"])]
        if "spikes" in one
        else [""] * 4
    )
    return one["name"], str(one.get("timesteps", "")), *percent, *spent


def conversions(network: VisionTransformer, digits: Any, folder: Path) -> dict[str, dict[str, Any]]:
    """By key, all of them; ``network`` is trained in floats, and in the end in 4 bits."""
    plain = PlainTransformer(network).eval()
    with torch.no_grad():
        image = torch.as_tensor(test_digits()[0])
        answer, same = network(image).numpy(), plain(image).numpy()
    np.testing.assert_allclose(answer, same, atol=1e-4)
    found: dict[str, dict[str, Any]] = {"float": {"name": "the float network", "answer": answer}}
    for name, (thresholds, one) in VARIANTS.items():
        for timesteps in THEIRS:
            key = f"sta-{thresholds}-{timesteps}"
            found[key] = {"name": name, "timesteps": timesteps, **sta(plain, timesteps, thresholds, one)}
    export(network, folder / "vit.onnx")
    for timesteps in OURS:
        found[f"calibrated-{timesteps}"] = {
            "name": "onnx2snn, calibrated",
            **ours(folder / "vit.onnx", timesteps),
        }
    for bits in (8, 4):
        in_bits(network, bits)
        train(network, digits, 8, 5e-4 if bits == 8 else 1e-3)
        export(network, folder / f"vit_{bits}.onnx")
        found[f"trained-{bits}"] = {
            "name": f"onnx2snn, trained in {bits} bits",
            **ours(folder / f"vit_{bits}.onnx"),
        }
    return found


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=24)
    chosen = parser.parse_args()
    digits, _ = load(chosen.data)
    labels = test_digits()[1]
    torch.manual_seed(0)
    network = VisionTransformer(0)
    train(network, digits, chosen.epochs, 3e-3)
    with tempfile.TemporaryDirectory() as folder:
        found = conversions(network, digits, Path(folder))
    source = found["float"]["answer"]
    for one in found.values():
        answer = one.pop("answer")
        one["right"] = float(np.mean(answer.argmax(1) == labels))
        one["same"] = float(np.mean(answer.argmax(1) == source.argmax(1)))
        one["error"] = float(np.linalg.norm(answer - source) / np.linalg.norm(source))
    names = ("onnx2snn", "spikingjelly", "torch")
    facts = {"found": found, "versions": {name: version(name) for name in names}}
    RESULTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
