"""Files of Keras and TensorFlow, from end to end: where TensorFlow and tf2onnx are installed (``make test-export-keras``)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import onnx2snn

_MISSING = [name for name in ("tensorflow", "tf2onnx") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"{', '.join(_MISSING)} not installed")

_NETWORKS = """
import sys
import numpy as np, tensorflow as tf
tf.keras.utils.set_random_seed(0)
layers = tf.keras.layers
net = tf.keras.Sequential([
    layers.Input((12, 12, 1)), layers.Conv2D(8, 3, activation="relu"), layers.DepthwiseConv2D(3, activation="relu"),
    layers.GlobalAveragePooling2D(), layers.Dense(4),
])
x = np.random.default_rng(0).normal(size=(64, 12, 12, 1)).astype(np.float32)
net(x)
folder = sys.argv[1]
net.save(f"{folder}/net.keras"), net.save(f"{folder}/net.h5"), net.export(f"{folder}/saved")
lite = tf.lite.TFLiteConverter.from_keras_model(net)
lite.optimizations = [tf.lite.Optimize.DEFAULT]
lite.representative_dataset = lambda: ([one[None]] for one in x)
lite.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
lite.inference_input_type = lite.inference_output_type = tf.int8
open(f"{folder}/net.tflite", "wb").write(lite.convert())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tensorflow")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", _NETWORKS, made], check=True, capture_output=True, env=environment)
    return made


def test_keras_an_int8_tflite_file_is_certified_and_compared_with_its_own_interpreter(folder: Path) -> None:
    source = folder / "net.tflite"
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == 3
    certificate = onnx2snn.verify(source, conversion)
    assert certificate.lossless
    beside = certificate.interpreter
    assert beside is not None
    assert beside.samples == certificate.samples
    assert beside.max_abs_error <= 1  # a code: kernels round in their own way
    assert certificate.to_dict()["interpreter"]["name"] == "TensorFlow Lite"


def test_keras_another_process_reads_the_same_network(folder: Path) -> None:
    source, snn = folder / "net.tflite", folder / "net.snn.onnx"
    for command in (["convert", source, snn], ["verify", source, snn, "--limit", "4"]):
        done = subprocess.run(
            [sys.executable, "-m", "onnx2snn", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "saved"])
def test_keras_float_networks_are_calibrated(folder: Path, name: str) -> None:
    source = folder / name
    x = np.random.default_rng(1).normal(size=(64, 12, 12, 1)).astype(np.float32)
    conversion = onnx2snn.convert(source, calibrate=x, timesteps=4)
    assert len(conversion.layers) == 2
    assert conversion.calibration is not None
    assert onnx2snn.verify(conversion.calibration, conversion, x).lossless


def test_keras_a_damaged_file_is_named_in_the_tool_s_words(folder: Path) -> None:
    damaged = folder / "damaged.tflite"
    damaged.write_bytes((folder / "net.tflite").read_bytes()[:200])
    with pytest.raises(onnx2snn.InvalidModelError, match="tf2onnx cannot write"):
        onnx2snn.convert(damaged)
