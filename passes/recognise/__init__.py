"""Recognition: activations become staircases."""
