"""Several float networks: one says little where a digit in a thousand is as much as what is measured.

The architecture of examples/digits with ReLUs, trained in two ways from several seeds. Each network is calibrated with the same
256 training digits without labels, and measured on the same 1,000 test digits as the float network it came from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration_digits import DIGITS, ann_accuracy, calibration_digits, our_accuracy, test_digits

STATES = Path(__file__).resolve().parent / "results" / "states"
DATA = DIGITS / "mnist.npz"

OURS = (2, 3, 4)
THEIRS = (32, 128)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, and from how many seeds.

    Attributes:
        augment: Whether digits are shifted, turned and scaled.
    """

    epochs: int
    augment: bool
    seeds: int


#: A quick training, and that of the network in the repository.
RECIPES = {"plain": Recipe(3, augment=False, seeds=8), "augmented": Recipe(30, augment=True, seeds=3)}


def work(data: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """All measurements: key, and what makes it.

    Args:
        data: Digits to train on, as examples/digits/train.py reads them.
    """
    peers = _peer_names()
    for recipe, how in RECIPES.items():
        for seed in range(how.seeds):
            key = f"several/{recipe}/{seed}"

            def source(name: str = recipe, seed: int = seed) -> Path:
                return network(data, name, seed)

            yield f"{key}/float", lambda s=source: {"accuracy": ann_accuracy(s())}
            yield f"{key}/onnx2snn", lambda s=source: _ours(s())
            for peer in peers:
                yield f"{key}/{peer}", lambda s=source, p=peer: _theirs(s(), p)


def network(data: Path, recipe: str, seed: int) -> Path:
    """The file of one trained network; it is trained if it is not there yet."""
    path = STATES / f"relu-{recipe}-{seed}.onnx"
    if path.exists():
        return path
    sys.path.insert(0, str(DIGITS))
    import torch  # noqa: PLC0415 - only to train
    from model import digits_network  # noqa: PLC0415
    from train import load, train  # noqa: PLC0415

    from onnx2snn.training import export_onnx  # noqa: PLC0415

    torch.set_num_threads(1)  # small operators: more threads wait for each other
    digits, test = load(data)
    how = RECIPES[recipe]
    torch.manual_seed(seed)
    model = digits_network(torch.nn.ReLU)
    train(model, digits, epochs=how.epochs, seed=seed, augment=how.augment)
    path.parent.mkdir(parents=True, exist_ok=True)
    export_onnx(model.eval(), test.images[:2], path, input_name="image", output_name="logits")
    return path


def _ours(source: Path) -> dict[int, dict[str, float]]:
    return {step: our_accuracy({"method": "auto"}, step, source) for step in OURS}


def _peer_names() -> tuple[str, ...]:
    try:
        import relu_peers  # noqa: PLC0415 - needs torch
    except ImportError as error:
        print(f"peers are left out: {error}", file=sys.stderr)
        return ()
    return tuple(relu_peers.peers(Path(), calibration_digits()))


def _theirs(source: Path, peer: str) -> dict[int, dict[str, float]]:
    import relu_peers  # noqa: PLC0415

    converted = relu_peers.peers(source, calibration_digits())[peer]()
    return relu_peers.measured(converted, *test_digits(), THEIRS)
