"""Operators of integers, of QONNX and of onnxruntime in float32 operators of ONNX: what each of them means."""
