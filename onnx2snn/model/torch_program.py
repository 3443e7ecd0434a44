"""A program of torch.export as an ONNX model: ``python -m onnx2snn.model.torch_program net.pt2 --output net.onnx``."""

from __future__ import annotations

import argparse


def main() -> None:
    """Write it. Nothing in the file is unpickled: TORCH_FORCE_WEIGHTS_ONLY_LOAD is set by whoever starts this."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--output", required=True)
    chosen = parser.parse_args()
    import torch  # noqa: PLC0415 - an extra

    torch.onnx.export(torch.export.load(chosen.program), (), chosen.output, dynamo=True, external_data=False)


if __name__ == "__main__":
    main()
