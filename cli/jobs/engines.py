"""The engines of a batch: where its photos are painted."""

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)
"""This machine, or the machines of a Ray cluster."""
