"""Executing spiking networks: NumPy and onnxruntime only."""
