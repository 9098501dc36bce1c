"""Taking turns: A B C A B C ..., so that a machine that drifts slows all of them alike.

Of each turn the first step does not count: it finds the caches full of somebody else's data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .matrix_rate import Product, measured_rate

Clock: TypeAlias = Callable[[], float]


class ContestantError(Exception):
    """A contestant that is not there, or cannot go on; its text is the reason."""

    status = "failed"

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason, details)  # both travel from one process to another
        self.reason, self.details = reason, details

    def __str__(self) -> str:
        return self.reason


class AbsentError(ContestantError):
    """A contestant that is not there."""

    status = "absent"


@dataclass(frozen=True)
class Turn:
    """What a contestant did while it was its turn."""

    samples_ms: tuple[float, ...]
    """How long each step took that counts."""
    matrix_rate: float
    """What its matrix products reached right after, in floating-point operations a second."""


class Player(Protocol):
    """A contestant, as the rounds see it."""

    def turn(self) -> Turn:
        """Have a turn; a ContestantError where that is not possible any more."""


def take_turn(
    step: Callable[[], object],
    products: Sequence[Product],
    steps: int,
    clock: Clock = time.perf_counter,
) -> Turn:
    """Step once to settle in, then ``steps`` times on the clock, then measure the products.

    Args:
        step: Returns when the step is complete.
        products: What the matrix rate is measured with.
        steps: How many count.
        clock: In seconds.
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
    """Let everybody have a turn in each round, one after the other and never two at once.

    Who fails has no more turns, and does not stop the others.

    Returns:
        The turns of those who came through, one for each round, and what was wrong with the rest.
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
