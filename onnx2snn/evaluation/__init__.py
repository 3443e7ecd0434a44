"""Accuracy and cost of a spiking network on a data set of any size."""
