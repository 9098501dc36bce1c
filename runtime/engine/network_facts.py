"""Facts about the graphs of a bundle that are found out once, and need no reading after that.

Reading a graph imports onnx, and looking at it onnx_ir, which a run of a cached shape has no other
use for.
"""

from __future__ import annotations

from collections.abc import Mapping

from nstbatch.runtime.bundles.bundle import Bundle, GraphKind
from nstbatch.runtime.checks import Pooling

from .stored_values import remembered_fact


def check_graph(bundle: Bundle, kind: GraphKind, pooling: Pooling) -> None:
    """Find out now whether a graph is what it should be; see :meth:`.bundle.Bundle.read_graph`.

    Raises:
        UnknownNameError: The bundle was not exported with this pooling.
        BundleError: The graph is not what `docs/bundles.md` promises.
    """

    def is_sound() -> bool:
        bundle.read_graph(kind, pooling)
        return True

    bundle.graph_path(kind, pooling)  # or say that there is none
    remembered_fact(("sound", bundle.sha256, kind, pooling), is_sound)


def smallest_sides(bundle: Bundle, pooling: Pooling) -> Mapping[str, int]:
    """For each layer of a bundle the result of :func:`.smallest_side.smallest_side`.

    Raises:
        UnknownNameError: The bundle was not exported with this pooling.
        BundleError: The graph is not what `docs/bundles.md` promises.
    """

    def sides() -> dict[str, int]:
        from nstbatch.runtime.graphs.smallest_side import smallest_side

        forward = bundle.read_graph("forward", pooling)
        return {layer: smallest_side(forward, {layer}) for layer in bundle.layer_names}

    bundle.graph_path("forward", pooling)  # or say that there is none
    return remembered_fact(("smallest sides", bundle.sha256, pooling), sides)
