"""Facts about a bundle's graphs, computed once and stored on disk.

Reading a graph imports onnx, and inspecting it onnx_ir, and a run of a cached shape needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple

from nstbatch.runtime.bundles.bundle import Bundle, GraphKind
from nstbatch.runtime.cache.stored_values import stored_fact
from nstbatch.runtime.checks import Pooling


def check_graph(bundle: Bundle, kind: GraphKind, pooling: Pooling) -> None:
    """Check that a graph is valid; see :meth:`Bundle.read_graph`.

    Raises:
        UnknownNameError: The bundle was not exported with this pooling.
        BundleError: The graph is not what `docs/bundles.md` promises.
    """

    def is_sound() -> bool:
        bundle.read_graph(kind, pooling)
        return True

    bundle.graph_path(kind, pooling)  # raises if there is none
    stored_fact(("sound", bundle.sha256, kind, pooling), is_sound)


def smallest_sides(bundle: Bundle, pooling: Pooling) -> Mapping[str, int]:
    """Return the result of :func:`smallest_side` for each layer of a bundle.

    Raises:
        UnknownNameError: The bundle was not exported with this pooling.
        BundleError: The graph is not what `docs/bundles.md` promises.
    """

    def sides() -> dict[str, int]:
        from nstbatch.runtime.graphs.smallest_side import smallest_side

        forward = bundle.read_graph("forward", pooling)
        return {layer: smallest_side(forward, {layer}) for layer in bundle.layer_names}

    bundle.graph_path("forward", pooling)  # raises if there is none
    return stored_fact(("smallest sides", bundle.sha256, pooling), sides)


def network_loads(bundle: Bundle, pooling: Pooling) -> Mapping[str, Sequence[float]]:
    """Return the result of :func:`network_load` for each layer of a bundle.

    Raises:
        UnknownNameError: The bundle was not exported with this pooling.
        BundleError: The graph is not what `docs/bundles.md` promises.
    """

    def loads() -> dict[str, list[float]]:
        from nstbatch.runtime.graphs.network_load import network_load

        forward = bundle.read_graph("forward", pooling)
        least = max(smallest_sides(bundle, pooling).values())
        found = network_load(forward, bundle.layer_names, least)
        return {layer: list(load) for layer, load in found.items()}

    bundle.graph_path("forward", pooling)  # raises if there is none
    return stored_fact(("network loads", bundle.sha256, pooling), loads)


def layer_sides(
    bundle: Bundle, pooling: Pooling, size: tuple[int, int]
) -> Mapping[str, Sequence[int]]:
    """Return the height and width of the layers of a bundle for pictures of a height and width.

    Raises:
        UnknownNameError: The bundle was not exported with this pooling.
        BundleError: The graph is not what `docs/bundles.md` promises.
    """

    def sides() -> dict[str, list[int]]:
        from nstbatch.runtime.graphs.layer_sides import layer_sides

        found = layer_sides(bundle.read_graph("forward", pooling), size)
        return {layer: list(each) for layer, each in found.items()}

    bundle.graph_path("forward", pooling)  # raises if there is none
    return stored_fact(("layer sides", bundle.sha256, pooling, size), sides)


def receptive_fields(bundle: Bundle, pooling: Pooling) -> Mapping[str, Sequence[int] | None]:
    """Return the receptive field of each layer of a bundle; None if it sees the whole picture.

    Six numbers each: stride, first and last pixel, down and then across; see
    :class:`nstbatch.runtime.graphs.receptive_field.Window`.

    Raises:
        UnknownNameError: The bundle was not exported with this pooling.
        BundleError: The graph is not what `docs/bundles.md` promises.
    """

    def fields() -> dict[str, list[int] | None]:
        from nstbatch.runtime.graphs.receptive_field import receptive_field

        forward = bundle.read_graph("forward", pooling)
        found = {layer: receptive_field(forward, layer) for layer in bundle.layer_names}
        return {
            layer: None if field is None else [*astuple(field.rows), *astuple(field.columns)]
            for layer, field in found.items()
        }

    bundle.graph_path("forward", pooling)  # raises if there is none
    return stored_fact(("receptive fields", bundle.sha256, pooling), fields)
