"""Facts of a graph's tensors."""
