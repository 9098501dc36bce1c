"""Checks of option values, and choices that several options share. Imports no numpy."""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from numbers import Real
from typing import Any, Literal, TypeVar, get_args

from .errors import UnknownNameError, UsageError

Own = Literal["own"]
OptimizerName = Literal["adam", "lbfgs"]
Pooling = Literal["avg", "max"]
Padding = Literal["zeros", "replicate"]
Error = Literal["mse", "scaled-mse"]
StyleLoss = Literal["gram", "shifted-gram", "moments", "wasserstein", "sliced"]

OWN: Own = "own"
"""A size: that of each picture itself."""

OPTIMIZER_NAMES: tuple[OptimizerName, ...] = get_args(OptimizerName)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
PADDINGS: tuple[Padding, ...] = get_args(Padding)
ERRORS: tuple[Error, ...] = get_args(Error)
STYLE_LOSS_NAMES: tuple[StyleLoss, ...] = get_args(StyleLoss)

Options = TypeVar("Options")


def one_of(name: str, choice: str, known: Sequence[str]) -> None:
    """Raise an UnknownNameError that lists the valid choices of an option."""
    if not isinstance(choice, str):
        raise _wrong(name, f"one of {', '.join(known)}", choice)
    if choice not in known:
        raise UnknownNameError(name, choice, known)


def whole(name: str, value: int, lowest: float = -math.inf, highest: float = math.inf) -> None:
    """Raise a UsageError that names the option unless its value is a whole number in a range.

    Integers of numpy are as good as Python's. A bool is no number.
    """
    if not _is_whole(value) or not lowest <= value <= highest:
        span = f" of at least {lowest}" if lowest > -math.inf else ""
        if highest < math.inf:
            span = f" from {lowest} to {highest}"
        raise _wrong(name, f"a whole number{span}", value)


def side(name: str, value: int | Own) -> None:
    """Raise a UsageError that names the option unless it is a number of pixels, or "own"."""
    is_own = isinstance(value, str) and value == OWN
    if not is_own and not (_is_whole(value) and int(value) >= 1):
        raise _wrong(name, f"a whole number of at least 1 or {OWN!r}", value)


def bound(name: str, value: int | None) -> None:
    """Raise a UsageError that names the option unless it is a number of pixels, or None."""
    if value is not None:
        whole(name, value, 1)


def at_least(name: str, value: float, lowest: float) -> None:
    """Raise a UsageError that names the option unless its value is finite and not below a bound."""
    if not _is_number(value) or not lowest <= value < math.inf:  # also false for NaN
        raise _wrong(name, f"a number of at least {lowest}", value)


def above(name: str, value: float, bound: float) -> None:
    """Raise a UsageError that names the option unless its value is finite and above a bound."""
    if not _is_number(value) or not bound < value < math.inf:
        raise _wrong(name, f"a number above {bound}", value)


def within(name: str, value: float, lowest: float, highest: float) -> None:
    """Raise a UsageError that names the option unless its value is a number in a range."""
    if not _is_number(value) or not lowest <= value <= highest:
        raise _wrong(name, f"a number from {lowest} to {highest}", value)


def flag(name: str, value: bool) -> None:
    """Raise a UsageError that names the option unless its value is a bool, of numpy or Python."""
    # numpy is not imported here; it calls its own bool "bool", and before numpy 2.0 "bool_".
    if type(value).__name__ not in {"bool", "bool_"}:
        raise _wrong(name, "True or False", value)


def text(name: str, value: str) -> None:
    """Raise a UsageError that names the option unless its value is a str."""
    if not isinstance(value, str):
        raise _wrong(name, "a str", value)


def several(name: str, values: Sequence[Any], of: str) -> None:
    """Raise a UsageError that names the option unless its value is a tuple or a list.

    A single str would otherwise be read letter by letter.

    Args:
        name: The option.
        values: Its value.
        of: A word for the elements, such as "layer names".
    """
    if not isinstance(values, tuple | list):
        raise _wrong(name, f"a tuple of {of}", values)


def weights(name: str, value: Mapping[str, float]) -> None:
    """Raise a UsageError unless an option's value maps layer names to weights of at least 0."""
    if not isinstance(value, Mapping):
        raise _wrong(name, "a mapping from layer names to weights", value)
    for layer, weight in value.items():
        text(f"layer in {name}", layer)
        at_least(f"weight of {layer}", weight, 0)


def layer_names(name: str, values: Sequence[str]) -> None:
    """Raise a UsageError unless an option's value is a tuple or a list of names of layers."""
    several(name, values, "layer names")
    for layer in values:
        text(f"layer in {name}", layer)


def shared_fields(options: Any) -> None:
    """Check the fields that several classes of options have, those that this one has.

    A field whose default is None may be None.

    Raises:
        UsageError: A value is of another type or out of range; names the option.
    """
    for field in fields(options):
        value = getattr(options, field.name)
        may_be_none = field.default is None and value is None
        if field.name in _SHARED and not may_be_none:
            _SHARED[field.name](field.name, value)


def options_or_default(options: Options | None, kind: type[Options]) -> Options:
    """Return the options of a call, or their defaults if None.

    Raises:
        UsageError: They are of another kind, such as a dict or the options of another system.
    """
    if options is None:
        return kind()
    if not isinstance(options, kind):
        raise _wrong("options", f"{kind.__name__}(...) or None", options)
    return options


_SHARED: Mapping[str, Callable[[str, Any], None]] = {
    "size": side,
    "max_size": bound,
    "iterations": partial(whole, lowest=1),
    "scales": partial(whole, lowest=1),
    "seed": partial(whole, lowest=0),
    "optimizer": partial(one_of, known=OPTIMIZER_NAMES),
    "pooling": partial(one_of, known=POOLINGS),
    "learning_rate": partial(above, bound=0),
    "tolerance": partial(at_least, lowest=0),
    "content_weight": partial(at_least, lowest=0),
    "style_weight": partial(at_least, lowest=0),
    "tv_weight": partial(at_least, lowest=0),
}
"""The checks of the fields that several classes of options have, by their names."""


def _is_whole(value: object) -> bool:
    try:
        operator.index(value)  # type: ignore[arg-type]  # the question is whether it is one
    except TypeError:
        return False
    return not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _wrong(name: str, expected: str, value: object) -> UsageError:
    return UsageError(f"The {name} must be {expected}, not {reprlib.repr(value)}.")
