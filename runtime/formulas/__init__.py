"""The mathematics of losses, priors and views as onnxscript functions; knows no term and no graph.

Each formula stands beside its derivative. ``formula`` refers to one without importing it, and
``notation`` has the operators and types that they are written with.
"""
