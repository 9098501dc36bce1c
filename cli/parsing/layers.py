"""Lists of layers as the command line takes them, with weights and without."""

from __future__ import annotations

from collections.abc import Sequence

from nstbatch.runtime.errors import UsageError


def parse_layers(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Read ``["a,b", "c"]`` as ``("a", "b", "c")``; None if the option was not given.

    Raises:
        UsageError: The option was given and names no layer.
    """
    if not values:
        return None
    names = (name.strip() for value in values for name in value.split(","))
    layers = tuple(name for name in names if name)
    if not layers:
        raise UsageError("A list of layers needs at least one layer.")
    return layers


def parse_weighted_layers(values: Sequence[str] | None) -> dict[str, float] | None:
    """Read ``["a=0.5,b", "c=2"]`` as ``{"a": 0.5, "b": 1.0, "c": 2.0}``; None if not given.

    Raises:
        UsageError: A weight is not a number, a layer is named twice, or there is no layer.
    """
    names = parse_layers(values)
    if names is None:
        return None
    layers: dict[str, float] = {}
    for entry in names:
        name, equals, weight = entry.partition("=")
        name = name.strip()
        if name in layers:
            raise UsageError(f"The style layer {name!r} is named twice.")
        try:
            layers[name] = float(weight) if equals else 1.0
        except ValueError:
            raise UsageError(f"The weight of {name!r} is not a number: {weight!r}.") from None
    return layers
