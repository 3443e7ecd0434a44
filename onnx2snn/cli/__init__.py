"""The command line: ``onnx2snn``; one file a command, each loaded when it is called."""

from onnx2snn.cli.group import main

__all__ = ["main"]
