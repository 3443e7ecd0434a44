"""onnxruntime's static quantiser: quantise a float network to 8 bits, as QDQ and as QOperator, convert, verify.

    pip install onnx2snn
    python examples/export/from_onnxruntime.py

The quantiser needs a float network and some data. 8 bits are T = 8 time steps. Both of its formats convert:
QuantizeLinear/DequantizeLinear around each operator (QDQ), and QLinearConv and its like (QOperator).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from digits import DATA, convert_and_verify, folder_from_command_line
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

FLOAT_NETWORK = DATA.with_name("digits_relu.onnx")


class Digits(CalibrationDataReader):
    """Hands out batches of pictures."""

    def __init__(self, images: np.ndarray) -> None:
        self._batches: Iterator[np.ndarray] = iter(np.array_split(images, 8))

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def quantise(network: Path, path: Path, images: np.ndarray, form: QuantFormat) -> None:
    quantize_static(
        network,
        path,
        Digits(images),
        quant_format=form,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def main() -> None:
    folder = folder_from_command_line(__doc__)
    with np.load(DATA) as data:
        images, labels = data["image"], data["labels"]
    prepared = folder / "prepared.onnx"
    quant_pre_process(FLOAT_NETWORK, prepared)  # folds batch norms, infers shapes
    for name, form in (("qdq", QuantFormat.QDQ), ("qoperator", QuantFormat.QOperator)):
        path = folder / f"onnxruntime_{name}.onnx"
        quantise(prepared, path, images[:200], form)
        convert_and_verify(path, images[960:], labels[960:], input_name="image")


if __name__ == "__main__":
    main()
