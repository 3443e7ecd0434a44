"""``python -m onnx2snn`` is the command ``onnx2snn``."""

from onnx2snn.cli import main

if __name__ == "__main__":
    main(prog_name="onnx2snn")
