"""Brevitas: train a small network with 4-bit weights and activations, export it as QCDQ and QONNX, convert, verify.

    pip install onnx2snn brevitas onnxoptimizer
    python examples/export/from_brevitas.py

Both formats say the same: QCDQ with ONNX's own QuantizeLinear, Clip and DequantizeLinear, QONNX with one ``Quant`` node.
"""

from __future__ import annotations

import torch
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.nn import QuantConv2d, QuantLinear, QuantReLU
from digits import convert_and_verify, folder_from_command_line, load_digits
from from_pytorch import train
from torch import nn

BITS = 4


def make_network() -> nn.Sequential:
    return nn.Sequential(
        QuantConv2d(1, 12, 3, padding=1, weight_bit_width=BITS, bias=False),
        nn.BatchNorm2d(12),
        QuantReLU(bit_width=BITS),
        nn.AvgPool2d(2),
        QuantConv2d(12, 24, 3, padding=1, weight_bit_width=BITS),
        QuantReLU(bit_width=BITS),
        nn.MaxPool2d(7),
        nn.Flatten(),
        QuantLinear(24, 10, bias=True, weight_bit_width=BITS),
    )


def main() -> None:
    folder = folder_from_command_line(__doc__)
    torch.manual_seed(0)
    images, labels, test_images, test_labels = load_digits()
    network = make_network()
    train(network, torch.from_numpy(images), torch.from_numpy(labels))
    network.eval()
    sample = torch.zeros(1, 1, 14, 14)
    for name, export in (("qcdq", export_onnx_qcdq), ("qonnx", export_qonnx)):
        path = folder / f"brevitas_{name}.onnx"
        export(
            network,
            args=sample,
            export_path=str(path),
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
        )
        convert_and_verify(path, test_images, test_labels, input_name="image")


if __name__ == "__main__":
    main()
