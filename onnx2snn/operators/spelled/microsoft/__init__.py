"""Definitions of onnxruntime's own operators, in those of ONNX: a module a family."""
