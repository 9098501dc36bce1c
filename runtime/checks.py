"""Checks of option values, and choices that several options share. Imports no numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

from .errors import UnknownNameError, UsageError

OptimizerName = Literal["adam", "lbfgs"]
Pooling = Literal["avg", "max"]

OPTIMIZER_NAMES: tuple[OptimizerName, ...] = get_args(OptimizerName)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def one_of(name: str, choice: str, known: Sequence[str]) -> None:
    """Raise an UnknownNameError that lists the valid choices of an option."""
    if choice not in known:
        raise UnknownNameError(name, choice, known)


def at_least(name: str, value: float, lowest: float) -> None:
    """Raise a UsageError that names the option unless its value is finite and not below a bound."""
    if not lowest <= value < math.inf:  # also false for NaN
        raise UsageError(f"The {name} must be a number of at least {lowest}, not {value}.")


def above(name: str, value: float, bound: float) -> None:
    """Raise a UsageError that names the option unless its value is finite and above a bound."""
    if not bound < value < math.inf:
        raise UsageError(f"The {name} must be a number above {bound}, not {value}.")
