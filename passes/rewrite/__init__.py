"""Rewriting: affine maps between staircases become synapses and biases, staircases become neurons."""
