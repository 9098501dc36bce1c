"""Batching: pictures of several threads are stepped as one batch.

Each thread carries out its run as if it were alone; a :class:`Seat` stands in for the
:class:`.device_descent.Descent` of its picture. Pictures of one shape and objective form a group,
and one pass moves all of them. A picture may leave at any step, and the next one takes its place,
so each stops on its own. Reading, writing and resizing in one thread overlap with the steps of the
others.

All active pictures meet before every step. The largest group then takes the step, which keeps
batches full; of equally large groups, that of the oldest picture, which finishes it soonest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.optimizers import State
from nstbatch.runtime.errors import StoppedError, UsageError

from .device_descent import Descent


@dataclass(frozen=True, eq=False)
class Start:
    """The start of a descent; pictures lie along the first axis of every array.

    Attributes:
        images: (N, 3, H, W).
        state: The optimiser's state.
        constants: Targets and weights, by the names of the step graph's inputs. For several
            pictures they have N rows, or one row that all share.
    """

    images: Array
    state: State
    constants: Mapping[str, Array]


OpenDescent: TypeAlias = Callable[[Start], Descent]


class Batcher:
    """Batches the pictures of several threads."""

    def __init__(self, most: int) -> None:
        """Start without any picture.

        Args:
            most: Largest batch. With 1, each picture is stepped by itself, the oldest first.
        """
        self.most = most
        self._lock = threading.Condition()
        self._groups: dict[Hashable, _Group] = {}
        self._under_way: list[_Picture] = []
        self._of_thread = threading.local()

    @property
    def waited(self) -> float:
        """Seconds for which this thread has waited for the pictures of others."""
        seconds: float = getattr(self._of_thread, "waited", 0.0)
        return seconds

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock within a ``with`` block; whoever holds it now works for another picture."""
        began = time.perf_counter()
        with self._lock:
            self._of_thread.waited = self.waited + time.perf_counter() - began
            yield

    @contextmanager
    def picture(self) -> Iterator[None]:
        """Mark a ``with`` block as one picture: the others wait for it between its descents.

        It is active from its first descent to the end of the block.

        Raises:
            UsageError: This thread is already within such a block: the two pictures would wait for
                each other.
        """
        if hasattr(self._of_thread, "picture"):
            raise UsageError(
                "This thread is already working on a picture. A shared engine cannot be called "
                "from its own callbacks."
            )
        self._of_thread.picture = picture = _Picture()
        try:
            yield
        finally:
            del self._of_thread.picture
            self._end(picture)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Allow no step within a ``with`` block, for work on the device outside of a descent."""
        with self._locked():
            yield

    def join(self, start: Start, open_descent: OpenDescent, key: Hashable = None) -> Seat:
        """Give a picture a seat in the group of its key.

        Args:
            start: The start of this picture, N = 1.
            open_descent: Opens a descent for several starts, stacked.
            key: Everything that descents of one batch have in common; None for a descent that is
                stepped by itself, whose start may hold several pictures.
        """
        alone = key is None
        with self._locked():
            picture = getattr(self._of_thread, "picture", None) or _Picture(passing=True)
            if picture not in self._under_way:
                self._under_way.append(picture)
            key = picture if alone else key
            if key not in self._groups:
                self._groups[key] = _Group(1 if alone else self.most, open_descent)
            seat = Seat(self, key, picture, start)
            picture.seat = seat
            self._groups[key].seats.append(seat)
            return seat

    def leave(self, seat: Seat) -> None:
        """Give a seat back."""
        with self._locked():
            group = self._groups[seat.key]
            group.seats.remove(seat)
            if not group.seats:
                del self._groups[seat.key]
            seat.picture.seat = None
        if seat.picture.passing:
            self._end(seat.picture)

    def step(self, seat: Seat) -> None:
        """Wait until the seat's picture has been moved and evaluated."""
        began = time.perf_counter()
        with self._lock:
            seat.waits = True
            self._lock.notify_all()
            while seat.waits:
                if all(picture.waits for picture in self._under_way):
                    self._take_step()
                    self._lock.notify_all()
                else:
                    self._lock.wait()
        self._of_thread.waited = self.waited + time.perf_counter() - began - seat.seconds

    def rows(self, seat: Seat, *, before: bool) -> tuple[Array, State]:
        """Return a seat's images and state, or with ``before`` those of the previous look.

        Needs no lock: no step happens while the seat's picture does not wait for one.
        """
        return self._groups[seat.key].rows(seat, before=before)

    def _take_step(self) -> None:
        age = {picture: number for number, picture in enumerate(self._under_way)}

        def precedence(group: _Group) -> tuple[int, int]:
            return len(group.next), -min(age[seat.picture] for seat in group.next)

        max(self._groups.values(), key=precedence).step()

    def _end(self, picture: _Picture) -> None:
        with self._lock:
            if picture in self._under_way:
                self._under_way.remove(picture)
            self._lock.notify_all()


class _Picture:
    """An active picture; it has a seat unless it is between two descents."""

    def __init__(self, *, passing: bool = False) -> None:
        self.passing = passing
        """True if it is active for a single descent only."""
        self.seat: Seat | None = None

    @property
    def waits(self) -> bool:
        """True if it waits for a step."""
        return self.seat is not None and self.seat.waits


class Seat:
    """A picture's place in a batch, used like a :class:`.device_descent.Descent`."""

    def __init__(self, batcher: Batcher, key: Hashable, picture: _Picture, start: Start) -> None:
        """See :meth:`Batcher.join`."""
        self.key = key
        self.picture = picture
        self.start = start
        self.waits = False
        self.left = 0
        """Largest number of steps to take next; 0 for an evaluation."""
        self.taken = 0
        """Number of steps taken last."""
        self.losses: Array | None = None
        """(N, T) after the last step."""
        self.seconds = 0.0
        """Duration of the last step; those that step together each take all of it."""
        self.error: Exception | None = None
        """The error that prevented losses."""
        self.is_back = False
        """True if it returned to the images of the previous look."""
        self._batcher = batcher

    def evaluate(self) -> Array:
        """Return the losses (N, T) of the first images; a StoppedError if it was terminated."""
        self._batcher.step(self)
        if self.error is not None:
            raise self.error
        assert self.losses is not None
        return self.losses

    def to_next_look(self, left: int, stop: Callable[[], bool]) -> tuple[Array, int]:
        """Take as many steps as every picture of the batch may.

        See :class:`nstbatch.runtime.descent.loop.Steppable`. ``stop`` is not called between the
        steps, since it would stop the others too.
        """
        self.left = left
        return self.evaluate(), self.taken

    def step_back(self) -> None:
        """Return to the images of the previous look."""
        self.is_back = True

    def close(self) -> None:
        """Leave the batch."""
        self._batcher.leave(self)

    @property
    def images(self) -> Array:
        """A copy of the current images, (N, 3, H, W)."""
        return self._batcher.rows(self, before=self.is_back)[0]

    @property
    def state(self) -> State:
        """A copy of the optimiser's state."""
        return self._batcher.rows(self, before=self.is_back)[1]


class _Group:
    """Pictures that one descent moves; those beyond its size wait for a seat in it."""

    def __init__(self, most: int, open_descent: OpenDescent) -> None:
        self.seats: list[Seat] = []
        """Seats in the order of arrival."""
        self._most = most
        self._open = open_descent
        self._descent: Descent | None = None
        self._aboard: list[Seat] = []
        """Seats of the descent's rows, in order; some may have left."""
        self._before: dict[Seat, tuple[Array, State]] = {}
        """Rows of the previous look, if a new descent was opened since."""

    @property
    def next(self) -> Sequence[Seat]:
        """Seats that take part in the next step."""
        return self.seats[: self._most]

    def step(self) -> None:
        """Move the seats evaluated before, admit others, and evaluate all of them."""
        count = 0
        self._before = {}
        began = time.perf_counter()
        try:
            if self._descent is not None and any(seat in self._aboard for seat in self.next):
                count = self._move(self._descent)
            if self._is_other_batch():
                self._reseat(has_moved=count > 0)
            assert self._descent is not None
            losses = self._descent.evaluate()
        except Exception as error:  # every thread gets it
            for seat in self.next:
                seat.error, seat.is_back = error, isinstance(error, StoppedError)
        else:
            for seat in self.next:
                seat.losses, seat.taken = losses[self._rows_of(seat)], count
        finally:
            for seat in self.next:
                seat.seconds = time.perf_counter() - began
                seat.waits = False

    def _move(self, descent: Descent) -> int:
        """Take steps up to the last evaluation, and return their number.

        It is 1 if a new seat waits for its first evaluation.
        """
        count = min(descent.look_every, *(seat.left or 1 for seat in self.next))
        descent.hold()
        for _ in range(count - 1):
            descent.advance()
        descent.update()
        return count

    def rows(self, seat: Seat, *, before: bool) -> tuple[Array, State]:
        """Return a seat's own images and state, or with ``before`` those of the previous look."""
        if before and seat in self._before:
            return self._before[seat]
        if self._descent is None or seat not in self._aboard:
            return seat.start.images, seat.start.state
        images, state = self._descent.snapshot(before=before)
        rows = self._rows_of(seat)
        return images[rows], {name: values[rows] for name, values in state.items()}

    def _rows_of(self, seat: Seat) -> slice:
        if self._most == 1:
            return slice(None)
        row = self._aboard.index(seat)
        return slice(row, row + 1)

    def _is_other_batch(self) -> bool:
        """Tell whether the descent lacks a seat, or is larger than necessary."""
        lacking = any(seat not in self._aboard for seat in self.next)
        return lacking or self._rows_for(len(self.next)) < len(self._aboard)

    def _rows_for(self, pictures: int) -> int:
        """Return the next power of two, up to the largest batch: so few graphs are ever opened."""
        return min(1 << (pictures - 1).bit_length(), self._most)

    def _reseat(self, *, has_moved: bool) -> None:
        """Open a descent for the current seats, each from its own images.

        The last picture is repeated in rows that no seat needs.
        """
        seats = list(self.next)
        seats += [seats[-1]] * (self._rows_for(len(seats)) - len(seats))
        moved = [seat for seat in self.next if seat in self._aboard]
        if has_moved:
            self._before = {seat: self.rows(seat, before=True) for seat in moved}
        images, states = zip(*(self.rows(seat, before=False) for seat in seats), strict=True)
        constants = _stacked([seat.start.constants for seat in seats])
        self._descent = self._open(Start(np.concatenate(images), _stacked(states), constants))
        self._aboard = seats


def _stacked(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Concatenate arrays of one name along their first axis; a single part may have any shape."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
