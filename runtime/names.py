"""The names of what goes into the graphs and comes out of them.

Of a step graph :mod:`.link` tells, of an update graph :mod:`.update_graph`. They are by themselves
here, since whoever runs a graph that is ready has no need of what made it.
"""

from __future__ import annotations

IMAGE = "image"
GRADIENT = "gradient"
LOSSES = "losses"

COTANGENT = "cotangent/"
TARGET = "target/"
VIEW = "view/"
WEIGHT = "weight/"

STATE = "state/"
STATE_OUT = "state_out/"
SCALARS = ("learning_rate", "lower", "upper")
