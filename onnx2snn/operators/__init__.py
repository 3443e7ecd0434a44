"""What each ONNX operator is."""
