"""Progress of a pass over many images: a bar on a terminal, a line elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nstbatch.cli.text import count


@contextmanager
def passing(images: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show the progress of a pass over images, from its first images on.

    Yields:
        A function to call with the number of images that are done.
    """
    what = f"passing over {count(images, 'image')}"
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _once(what, quiet=quiet)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=images, visible=False)
        yield lambda done: bar.update(task, completed=done, visible=True)


def _once(what: str, *, quiet: bool) -> Callable[[int], None]:
    """Return a function that prints a line at its first call."""
    said = quiet

    def report(done: int) -> None:
        nonlocal said
        if not said:
            print(what, file=sys.stderr, flush=True)
        said = True

    return report
