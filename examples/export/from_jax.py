"""JAX: train a small network with a quantised activation, export it with jax2onnx, convert, verify.

    pip install onnx2snn jax jax2onnx
    python examples/export/from_jax.py

The straight-through estimator belongs to training alone: x + stop_gradient(q − x) is not q in floating point.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from digits import LEVELS, convert_and_verify, folder_from_command_line, load_digits
from jax2onnx import to_onnx

CEILING = 3.0
Parameters = dict[str, Any]


def qcfs(x: jax.Array, *, training: bool) -> jax.Array:
    """λ · clip(⌊x·K/λ + 1/2⌋, 0, K) / K."""
    scaled = x * (LEVELS / CEILING) + 0.5
    level = jnp.floor(scaled)
    if training:
        level = scaled + jax.lax.stop_gradient(level - scaled)
    return jnp.clip(level, 0, LEVELS) * (CEILING / LEVELS)


def network(parameters: Parameters, image: jax.Array, *, training: bool = False) -> jax.Array:
    """Logits (N, 10) of images (N, 14, 14, 1)."""
    x = jax.lax.conv_general_dilated(
        image, parameters["filters"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    x = qcfs(x + parameters["bias"], training=training)
    x = x.reshape(x.shape[0], 7 * 7 * 8)
    x = qcfs(x @ parameters["hidden"] + parameters["hidden_bias"], training=training)
    return x @ parameters["readout"]


def initial(random: np.random.Generator) -> Parameters:
    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape), jnp.float32)

    weights = {"filters": normal(3, 3, 1, 8), "hidden": normal(392, 48), "readout": normal(48, 10)}
    return weights | {"bias": jnp.zeros(8), "hidden_bias": jnp.zeros(48)}


def loss(parameters: Parameters, images: jax.Array, labels: jax.Array) -> jax.Array:
    scores = jax.nn.log_softmax(network(parameters, images, training=True))
    return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))


@jax.jit
def update(parameters: Parameters, images: jax.Array, labels: jax.Array) -> Parameters:
    gradients = jax.grad(loss)(parameters, images, labels)
    return jax.tree.map(lambda value, gradient: value - 0.1 * gradient, parameters, gradients)


def train(parameters: Parameters, images: np.ndarray, labels: np.ndarray) -> Parameters:
    random = np.random.default_rng(0)
    for _ in range(20):
        for batch in np.array_split(random.permutation(len(images)), 16):
            parameters = update(parameters, images[batch], labels[batch])
    return parameters


def main() -> None:
    folder = folder_from_command_line(__doc__)
    images, labels, test_images, test_labels = load_digits()
    images, test_images = (each.transpose(0, 2, 3, 1) for each in (images, test_images))
    parameters = train(initial(np.random.default_rng(0)), images, labels)
    model = to_onnx(functools.partial(network, parameters), [("B", 14, 14, 1)], model_name="digits")
    path = folder / "jax.onnx"
    onnx.save(model, path)
    convert_and_verify(path, test_images, test_labels, input_name=model.graph.input[0].name)


if __name__ == "__main__":
    main()
