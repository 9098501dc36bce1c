"""Batching: pictures that threads work at side by side are stepped as one batch.

Each thread carries out its run as if it were alone; a :class:`Seat` stands in for the
:class:`.loop.Descent` of its picture. Pictures of one shape and objective form a
group, whose rows are moved by one pass. A picture may leave at any step, and the next one takes its
place, so each stops on its own. What threads do between steps, such as reading, writing and
resizing, overlaps with the steps of the others.

All pictures under way meet before every step. Then the largest group takes it, so that batches stay
full; of groups of one size, the one of the oldest picture, so that it is done soonest.
"""

from __future__ import annotations

import threading
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
    """What a descent starts from, the pictures along the first axis of everything.

    Attributes:
        images: (N, 3, H, W).
        state: The optimiser's.
        constants: Targets and weights, by the names of the step graph's inputs. Of more than one
            picture they have N rows, or one that all share.
    """

    images: Array
    state: State
    constants: Mapping[str, Array]


OpenDescent: TypeAlias = Callable[[Start], Descent]


class Batcher:
    """Brings the pictures of several threads together."""

    def __init__(self, most: int) -> None:
        """Nobody is under way yet.

        Args:
            most: How many pictures may be one batch. With 1, each is stepped by itself, and the
                oldest first.
        """
        self.most = most
        self._lock = threading.Condition()
        self._groups: dict[Hashable, _Group] = {}
        self._under_way: list[_Picture] = []
        self._of_thread = threading.local()

    @contextmanager
    def picture(self) -> Iterator[None]:
        """Everything within is of one picture: the others wait for it between two descents.

        It is under way from its first descent to the end of the block.

        Raises:
            UsageError: This thread is within such a block: its picture would wait for this one, and
                this one for it.
        """
        if hasattr(self._of_thread, "picture"):
            raise UsageError(
                "A picture is under way in this thread. What is shared cannot be called from its "
                "own callbacks."
            )
        self._of_thread.picture = picture = _Picture()
        try:
            yield
        finally:
            del self._of_thread.picture
            self._end(picture)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nobody takes a step meanwhile: for what needs the device outside of a descent."""
        with self._lock:
            yield

    def join(self, start: Start, open_descent: OpenDescent, key: Hashable = None) -> Seat:
        """A seat for a picture, in the group of the same key.

        Args:
            start: Of this picture, N = 1.
            open_descent: Opens a descent for several starts, stacked.
            key: Of what makes descents alike but for their pictures; None for one that is stepped
                by itself, whose start may be of several pictures.
        """
        alone = key is None
        with self._lock:
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
        with self._lock:
            group = self._groups[seat.key]
            group.seats.remove(seat)
            if not group.seats:
                del self._groups[seat.key]
            seat.picture.seat = None
        if seat.picture.passing:
            self._end(seat.picture)

    def step(self, seat: Seat) -> None:
        """Wait until the seat's picture has been moved, and evaluated."""
        with self._lock:
            seat.waits = True
            self._lock.notify_all()
            while seat.waits:
                if all(picture.waits for picture in self._under_way):
                    self._take_step()
                    self._lock.notify_all()
                else:
                    self._lock.wait()

    def rows(self, seat: Seat, *, before: bool) -> tuple[Array, State]:
        """A seat's images and state, or those of the look before the last one.

        Without the lock: nobody takes a step as long as the seat's picture does not wait for one.
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
    """One picture under way, which has a seat unless it is between two descents."""

    def __init__(self, *, passing: bool = False) -> None:
        self.passing = passing
        """Whether it is under way no longer than its one descent."""
        self.seat: Seat | None = None

    @property
    def waits(self) -> bool:
        """Whether it waits for a step."""
        return self.seat is not None and self.seat.waits


class Seat:
    """A picture's place in a batch; it is used like a :class:`.loop.Descent`."""

    def __init__(self, batcher: Batcher, key: Hashable, picture: _Picture, start: Start) -> None:
        """See :meth:`Batcher.join`."""
        self.key = key
        self.picture = picture
        self.start = start
        self.waits = False
        self.left = 0
        """How many steps are asked for at most; 0 for an evaluation."""
        self.taken = 0
        """How many were taken."""
        self.losses: Array | None = None
        """(N, T) of the last one."""
        self.error: Exception | None = None
        """Why there are none."""
        self.is_back = False
        """Whether the images of the look before the last one are meant."""
        self._batcher = batcher

    def evaluate(self) -> Array:
        """Losses (N, T) of the images that it starts from; a StoppedError if it was terminated."""
        self._batcher.step(self)
        if self.error is not None:
            raise self.error
        assert self.losses is not None
        return self.losses

    def to_next_look(self, left: int, stop: Callable[[], bool]) -> tuple[Array, int]:
        """Take as many steps as all of the batch may; see :class:`.loop.Steppable`.

        Nobody is asked between them whether to stop: it would stop the others.
        """
        self.left = left
        return self.evaluate(), self.taken

    def step_back(self) -> None:
        """Return to the images of the look before the last one."""
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
    """Pictures that one descent moves; those beyond its size wait for a place."""

    def __init__(self, most: int, open_descent: OpenDescent) -> None:
        self.seats: list[Seat] = []
        """In the order that they came in."""
        self._most = most
        self._open = open_descent
        self._descent: Descent | None = None
        self._aboard: list[Seat] = []
        """Who is moved by the descent, by its rows; some may have left."""
        self._before: dict[Seat, tuple[Array, State]] = {}
        """The rows of the look before the last one, where another descent came between."""

    @property
    def next(self) -> Sequence[Seat]:
        """Who takes part in the next step."""
        return self.seats[: self._most]

    def step(self) -> None:
        """Move those who have been evaluated before, let others in, and evaluate all of them."""
        count = 0
        self._before = {}
        try:
            if self._descent is not None and any(seat in self._aboard for seat in self.next):
                count = self._move(self._descent)
            if self._is_other_batch():
                self._reseat(has_moved=count > 0)
            assert self._descent is not None
            losses = self._descent.evaluate()
        except Exception as error:  # each of the threads is to know of it
            for seat in self.next:
                seat.error, seat.is_back = error, isinstance(error, StoppedError)
        else:
            for seat in self.next:
                seat.losses, seat.taken = losses[self._rows_of(seat)], count
        finally:
            for seat in self.next:
                seat.waits = False

    def _move(self, descent: Descent) -> int:
        """Take steps, all but the last evaluation, and return how many.

        One where somebody is let in, who waits for an evaluation.
        """
        count = min(descent.look_every, *(seat.left or 1 for seat in self.next))
        descent.hold()
        for _ in range(count - 1):
            descent.advance()
        descent.update()
        return count

    def rows(self, seat: Seat, *, before: bool) -> tuple[Array, State]:
        """A seat's own images and state, or those of the look before the last one."""
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
        """Whether the descent lacks somebody, or is larger than it need be."""
        lacking = any(seat not in self._aboard for seat in self.next)
        return lacking or self._rows_for(len(self.next)) < len(self._aboard)

    def _rows_for(self, pictures: int) -> int:
        """The next power of two, so that few graphs are ever opened, but no more than allowed."""
        return min(1 << (pictures - 1).bit_length(), self._most)

    def _reseat(self, *, has_moved: bool) -> None:
        """Open a descent for those who take part now, each from where it is.

        The last picture fills the rows that nobody needs.
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
    """Arrays of one name along their first axis; those of one part may have any shape."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
