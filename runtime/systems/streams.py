"""Streams: many pictures through one loaded network, in bounded memory.

A stream works ahead by a few pictures. It takes the next item from its source only when another one
has been handed over, so a source may be endless. A picture that cannot be made is a result like any
other, with its error. However a stream ends, none of its threads is left::

    for made in stream(lambda photo, stop: transfer(photo, "monet.jpg", stop=stop), photos):
        print(made.item, made.error or made.result)
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from nstbatch.runtime.checks import whole
from nstbatch.runtime.engine.opened import Opened

Item = TypeVar("Item")
Product = TypeVar("Product")
Options = TypeVar("Options")

Stop: TypeAlias = Callable[[], bool]
"""Tells whether a run should end; called before every step."""

AHEAD = 2
"""A stream holds this many items for each of its threads: one at work, and one that waits for the
thread or for the consumer."""


@dataclass(frozen=True)
class Made(Generic[Item, Product]):
    """The result of one item: what was made of it, or the error.

    Attributes:
        index: The item's number in the source, from 0.
        item: The item.
        result: What was made of it; None after an error.
        error: Why nothing was made of it.
    """

    index: int
    item: Item
    result: Product | None = None
    error: Exception | None = None

    def get(self) -> Product:
        """Return the result, or raise the error."""
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


def attempt(
    make: Callable[[Item, Stop], Product], stop: Stop, index: int, item: Item
) -> Made[Item, Product]:
    """Make one item's product, or keep the error."""
    try:
        return Made(index, item, make(item, stop))
    except Exception as error:  # the other items may be fine
        return Made(index, item, error=error)


def stream(
    make: Callable[[Item, Stop], Product],
    items: Iterable[Item],
    *,
    at_once: int = 1,
    in_order: bool = True,
) -> Generator[Made[Item, Product]]:
    """Make something of every item, in threads.

    The source is read in the thread of the consumer. To end a stream early, close it, or leave the
    loop and forget it: runs under way are stopped before their next step.

    Args:
        make: Makes the product of an item; called with the item and with what tells it to stop.
        items: The source. Its error is raised when all items before it have been handed over.
        at_once: Number of items to work on at a time, each in its own thread.
        in_order: True to hand the results over in the order of the source; False for the order in
            which they are ready.

    Raises:
        UsageError: ``at_once`` is no whole number above 0.
    """
    whole("at_once", at_once, 1)
    return _stream(make, items, at_once, in_order)


def _stream(
    make: Callable[[Item, Stop], Product], items: Iterable[Item], at_once: int, in_order: bool
) -> Generator[Made[Item, Product]]:
    source, halt = enumerate(items), threading.Event()
    held: list[Future[Made[Item, Product]]] = []
    broken: Exception | None = None
    exhausted = False
    with ThreadPoolExecutor(at_once, thread_name_prefix="nstbatch-stream") as pool:
        try:
            while True:
                while not exhausted and len(held) < AHEAD * at_once:
                    try:
                        index, item = next(source)
                    except StopIteration:
                        exhausted = True
                    except Exception as error:
                        exhausted, broken = True, error
                    else:
                        held.append(pool.submit(attempt, make, halt.is_set, index, item))
                        del item
                if not held:
                    break
                ready = held[0] if in_order else _first_ready(held)
                held.remove(ready)
                yield ready.result()
                del ready
        finally:
            halt.set()
            for future in held:
                future.cancel()
    if broken is not None:
        raise broken


def _first_ready(held: list[Future[Made[Item, Product]]]) -> Future[Made[Item, Product]]:
    done = wait(held, return_when=FIRST_COMPLETED).done
    return next(future for future in held if future in done)


class Streaming(Opened, Generic[Item, Options, Product]):
    """A system that makes one picture of each item, with the same options."""

    @abstractmethod
    def __call__(
        self, item: Item, /, options: Options | None = None, *, stop: Stop | None = None
    ) -> Product:
        """Make the picture of one item."""

    def map(
        self,
        items: Iterable[Item],
        options: Options | None = None,
        *,
        together: int = 1,
        in_order: bool = True,
    ) -> Generator[Made[Item, Product]]:
        """Make the picture of every item; see :func:`stream`.

        Args:
            items: The source.
            options: The options; the defaults if None.
            together: Largest number of pictures to step as one batch; see
                :meth:`nstbatch.runtime.engine.engine.Engine.share`. Twice as many are worked on.
            in_order: See :func:`stream`.

        Raises:
            UsageError: ``together`` is no whole number above 0.
        """
        self.engine.share(together)

        def make(item: Item, stop: Stop) -> Product:
            return self(item, options, stop=stop)

        return stream(make, items, at_once=2 * together, in_order=in_order)
