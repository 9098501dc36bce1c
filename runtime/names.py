"""Names of the inputs and outputs of graphs.

:mod:`.graphs.link` documents those of a step graph, :mod:`.graphs.update_graph` those of an update
graph. They have a module of their own so that code which runs a finished graph does not import the
code that builds graphs.
"""

from __future__ import annotations

IMAGE = "image"
GRADIENT = "gradient"
LOSSES = "losses"
SLOPES = "slopes"

COTANGENT = "cotangent/"
GUIDE = "guide/"
TARGET = "target/"
VIEW = "view/"
WEIGHT = "weight/"

# Of tiles, see :mod:`.graphs.tile_graphs`.
ELEMENTS = "elements/"
MASK = "mask/"
SLOPE = "slope/"
SUMS = "sums/"

SEEN = "seen"
"""Of views alone, see :mod:`.graphs.view_graphs`."""

STATE = "state/"
STATE_OUT = "state_out/"
IMAGE_OUT = "image_out"
SCALARS = ("learning_rate", "lower", "upper")
