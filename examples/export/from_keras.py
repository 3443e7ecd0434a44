"""Keras: train a small network with a quantised activation, export it through tf2onnx, convert, verify.

    pip install onnx2snn tensorflow tf2onnx
    python examples/export/from_keras.py

``tf.quantization.fake_quant_with_min_max_args`` works as well. Pictures are channels last here; the converter does not mind.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import tensorflow as tf
import tf2onnx
from digits import LEVELS, convert_and_verify, folder_from_command_line, load_digits

CEILING = 3.0


@tf.custom_gradient
def floor(x: Any) -> Any:
    """⌊x⌋, whose gradient is that of x: in the graph it is a Floor and nothing else."""
    return tf.floor(x), lambda upstream: upstream


class QCFS(keras.layers.Layer):
    """λ · clip(⌊x·K/λ + 1/2⌋, 0, K) / K."""

    def call(self, x: Any) -> Any:
        return tf.clip_by_value(floor(x * (LEVELS / CEILING) + 0.5), 0, LEVELS) * (CEILING / LEVELS)


def make_network() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((14, 14, 1), name="image"),
            keras.layers.Conv2D(12, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            QCFS(),
            keras.layers.AveragePooling2D(2),
            keras.layers.Conv2D(24, 3, padding="same"),
            QCFS(),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(10, name="logits"),
        ]
    )


def main() -> None:
    folder = folder_from_command_line(__doc__)
    keras.utils.set_random_seed(0)
    images, labels, test_images, test_labels = load_digits()
    images, test_images = (each.transpose(0, 2, 3, 1) for each in (images, test_images))
    network = make_network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    network.fit(images, labels, batch_size=50, epochs=12, verbose=0)
    path = folder / "keras.onnx"

    @tf.function(input_signature=[tf.TensorSpec((None, 14, 14, 1), tf.float32, name="image")])
    def infer(image: Any) -> Any:
        return network(image, training=False)

    tf2onnx.convert.from_function(
        infer, input_signature=infer.input_signature, opset=17, output_path=str(path)
    )
    convert_and_verify(path, test_images, test_labels, input_name="image")


if __name__ == "__main__":
    main()
