import pickle

import pytest

from nstbatch.benchmarks.tasks.matrix_rate import ATTEMPTS, Product
from nstbatch.benchmarks.tasks.turns import AbsentError, ContestantError, Turn, play, take_turn


class Machine:
    """A clock, and work that moves it forward."""

    def __init__(self):
        self.now = 0.0
        self.done: list[str] = []

    def clock(self) -> float:
        return self.now

    def work(self, name: str, seconds: float):
        def run() -> None:
            self.done.append(name)
            self.now += seconds

        return run


def test_a_turn_settles_counts_and_measures_the_rate():
    machine = Machine()
    products = [
        Product(1000, machine.work("matrix", 2.0)),
        Product(3000, machine.work("convolution", 3.0)),
    ]
    turn = take_turn(machine.work("step", 0.25), products, steps=3, clock=machine.clock)
    attempts = 1 + ATTEMPTS
    assert machine.done == ["step"] * 4 + ["matrix"] * attempts + ["convolution"] * attempts
    assert turn.samples_ms == (250, 250, 250)
    assert turn.matrix_rate == 1000  # the rate of the faster product


class Scripted:
    """A contestant that records its turns, and fails in one of them."""

    def __init__(self, name, order, fails_at=None):
        self.name, self.order, self.fails_at = name, order, fails_at

    def turn(self) -> Turn:
        self.order.append(self.name)
        if self.order.count(self.name) == self.fails_at:
            raise ContestantError("out of breath")
        return Turn((float(len(self.order)),), 1.0)


def test_turns_go_round_and_who_fails_is_left_out():
    order: list[str] = []
    players = {
        "a": Scripted("a", order),
        "b": Scripted("b", order, fails_at=2),
        "c": Scripted("c", order),
    }
    lines: list[str] = []
    turns, failures = play(players, 3, lines.append)
    assert "".join(order) == "abc" + "abc" + "ac"
    assert [turn.samples_ms for turn in turns["c"]] == [(3,), (6,), (8,)]
    assert turns.keys() == {"a", "c"}
    assert str(failures["b"]) == "out of breath"
    assert lines == ["round 1 of 3", "round 2 of 3", "round 3 of 3"]


@pytest.mark.parametrize("kind", [ContestantError, AbsentError])
def test_failures_travel_between_processes(kind):
    arrived = pickle.loads(pickle.dumps(kind("why", "where exactly")))
    assert type(arrived) is kind
    assert (str(arrived), arrived.details, arrived.status) == ("why", "where exactly", kind.status)
