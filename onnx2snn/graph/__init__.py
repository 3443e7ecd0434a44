"""Graphs: graphsurgeon, and what it lacks."""
