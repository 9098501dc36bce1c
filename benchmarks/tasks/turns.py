"""Lets contestants take turns, A B C A B C ..., so that a drifting machine slows all alike.

The first step of a turn is not timed: the caches still hold another contestant's data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .matrix_rate import Product, measured_rate

Clock: TypeAlias = Callable[[], float]


class ContestantError(Exception):
    """A contestant is missing or cannot go on; the text is the reason."""

    status = "failed"

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason, details)  # so that both are pickled on the way to another process
        self.reason, self.details = reason, details

    def __str__(self) -> str:
        return self.reason


class AbsentError(ContestantError):
    """A contestant cannot run on this machine."""

    status = "absent"


class OutOfTimeError(Exception):
    """There was no time left to wait for a contestant."""


@dataclass(frozen=True)
class Turn:
    """The measurements of one turn of a contestant."""

    samples_ms: tuple[float, ...]
    """Milliseconds of each timed step."""
    matrix_rate: float
    """Rate of its matrix products right after the steps, in floating-point operations a second."""


class Player(Protocol):
    """A contestant in the rounds."""

    def turn(self) -> Turn:
        """Take a turn; raise a ContestantError if it fails."""


def take_turn(
    step: Callable[[], object],
    products: Sequence[Product],
    steps: int,
    clock: Clock = time.perf_counter,
) -> Turn:
    """Take one untimed step, then time ``steps`` steps, then measure the products.

    Args:
        step: Takes a step; returns when it is complete.
        products: Products for the matrix rate.
        steps: Number of timed steps.
        clock: Gives the time in seconds.
    """
    step()
    samples = []
    for _ in range(steps):
        start = clock()
        step()
        samples.append(1e3 * (clock() - start))
    return Turn(tuple(samples), measured_rate(products, clock))


def play(
    players: Mapping[str, Player],
    rounds: int,
    log: Callable[[str], None] = lambda line: None,
) -> tuple[dict[str, list[Turn]], dict[str, ContestantError]]:
    """Let every player take one turn in each round, one after the other.

    A player that fails takes no more turns and does not stop the others.

    Returns:
        The turns of the players that did not fail, one a round, and the errors of the others.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in players}
    failures: dict[str, ContestantError] = {}
    for number in range(1, rounds + 1):
        log(f"round {number} of {rounds}")
        for name, player in players.items():
            if name not in failures:
                try:
                    turns[name].append(player.turn())
                except ContestantError as error:
                    failures[name] = error
    return {name: taken for name, taken in turns.items() if name not in failures}, failures
