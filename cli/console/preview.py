"""The picture so far, in a terminal that shows pictures: above the bar, and replaced in place.

Rich draws the bar anew with everything it prints, and erases only the bar's own line. So the
picture lies above that line, in rows that are printed for it once. What is printed later comes
between the two; the next picture then gets rows of its own.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import RenderHook
from rich.control import Control
from rich.segment import ControlType, Segment

from .terminal_images import Protocol, iterm2, kitty, sixel
from .terminal_query import terminal

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, ConsoleOptions, ConsoleRenderable

    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.arrays import Array
    from nstbatch.runtime.descent.progress import Progress

    from .terminal_query import Terminal

# Seconds between two previews, and the share of the time that they may take, as over a slow
# connection. Guesses.
EVERY, SHARE = 2.0, 0.05

# Cells. A preview leaves half the terminal to the lines above it. Guesses.
MOST_ROWS, MOST_COLUMNS = 18, 72

# DECSC and DECRC of a VT100; rich uses neither.
_SAVE, _RESTORE = "\x1b7", "\x1b8"


class Preview(RenderHook):
    """Shows the picture so far on a console, every few seconds."""

    def __init__(
        self,
        console: Console,
        terminal: Terminal,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch what a console prints, and draw nothing yet.

        Args:
            console: The console of the bar, which has not started yet.
            terminal: How it shows pictures.
            clock: Returns the time in seconds.
        """
        self._console = console
        self._terminal = terminal
        self._clock = clock
        self._next = float("-inf")
        self._shown: Path | None = None
        self._block: _Block | None = None
        console.push_render_hook(self)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Notice what else is printed above the bar; for rich, which calls this for each print."""
        if not all(isinstance(each, Control | _Block) for each in renderables):
            self._block = None
        return renderables

    def show(self, job: Job, progress: Progress) -> None:
        """Show the picture of a step, if it is time to; the last one of a picture in any case."""
        if progress.picture is None:
            return
        if self._shown != job.output:  # its first steps show only the start
            self._shown, self._block = job.output, None
            self._next = max(self._next, self._clock() + EVERY)
        is_last = progress.step == progress.steps and self._block is not None
        if self._clock() < self._next and not is_last:
            return
        began = self._clock()
        self._draw(progress.picture())
        now = self._clock()
        self._next = now + max(EVERY, (now - began) / SHARE)

    def _draw(self, pixels: Array) -> None:
        size = self._cells(*pixels.shape[:2])
        place = (size, tuple(self._console.size))
        if self._block is None or self._block.place != place:
            self._block = _Block(place)
        self._block.drawing = self._sequence(pixels, *size, self._block.number)
        self._console.print(self._block)

    def _cells(self, height: int, width: int) -> tuple[int, int]:
        """Return the columns and rows for a picture, within the limits and in its proportions."""
        cell_height, cell_width = self._terminal.cell
        columns, lines = self._console.size
        most_rows = max(1, min(MOST_ROWS, lines // 2))
        most_columns = max(1, min(MOST_COLUMNS, columns))
        scale = min(most_rows * cell_height / height, most_columns * cell_width / width)
        return (
            max(1, round(width * scale / cell_width)),
            max(1, round(height * scale / cell_height)),
        )

    def _sequence(self, pixels: Array, columns: int, rows: int, number: int) -> str:
        import numpy as np
        from PIL import Image

        from nstbatch.runtime.pictures.sizes import resize

        cell_height, cell_width = self._terminal.cell
        height, width = rows * cell_height, columns * cell_width
        is_sixel = self._terminal.protocol is Protocol.SIXEL
        if is_sixel or height < pixels.shape[0]:  # the others let the terminal enlarge
            pixels = resize(pixels, (height, width))
        image = Image.fromarray(np.rint(pixels.clip(0, 1) * 255).astype(np.uint8))
        if is_sixel:
            return sixel(image)
        if self._terminal.protocol is Protocol.ITERM2:
            return iterm2(image, columns, rows)
        return kitty(image, columns, rows, number)


def preview_on(console: Console, wanted: str) -> Preview | None:
    """Return the preview on a console; None if its terminal shows no pictures, which it says.

    Args:
        console: A console of this process's terminal.
        wanted: The protocol; "auto" for that of the terminal.
    """
    asked = terminal()
    if wanted != "auto":
        return Preview(console, replace(asked, protocol=Protocol(wanted)))
    if asked.protocol is not None:
        return Preview(console, asked)
    where = f"Within {asked.multiplexer}, this" if asked.multiplexer else "This"
    print(
        f"nstbatch: {where} terminal shows no pictures by the protocols of kitty and iTerm2 or as "
        "sixel, so there is no preview. --snapshots writes pictures to files.",
        file=sys.stderr,
    )
    return None


class _Block:
    """Rows of the terminal with a picture in them."""

    def __init__(self, place: tuple[tuple[int, int], tuple[int, ...]]) -> None:
        self.place = place
        """Columns and rows of the picture, and the size of the console."""
        self.number = random.randrange(1, 1 << 32)
        self.drawing = ""
        self._has_rows = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Yield what draws the picture; for rich, which has put the cursor where the bar begins."""
        rows = self.place[0][1]
        # New lines scroll the terminal, which a drawing does in one terminal and not in another.
        begin = "" if self._has_rows else "\n" * rows
        self._has_rows = True
        text = f"{begin}\x1b[{rows}A{_SAVE}{self.drawing}{_RESTORE}\x1b[{rows}B"
        yield Segment(text, None, [(ControlType.CURSOR_UP, rows)])
