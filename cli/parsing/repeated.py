"""Options that take several values: ``--checkpoints 1.pth 2.pth 3.pth``.

Click gives an option a fixed number of values. So the words are rewritten before it sees them, to
the option repeated: ``--checkpoints 1.pth --checkpoints 2.pth --checkpoints 3.pth``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .short_help import ShortHelpCommand

# What tells a checkpoint from a photo behind it; see nstbatch.exporter.networks.weights.read_state.
CHECKPOINT_SUFFIXES = (".pth", ".pt", ".safetensors")


class WithCheckpoints(ShortHelpCommand):
    """A command whose option ``--checkpoints`` takes all the files of weights that follow it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rewrite the words, and parse them."""
        return super().parse_args(ctx, list(repeated("--checkpoints", CHECKPOINT_SUFFIXES, args)))


def repeated(option: str, suffixes: Sequence[str], words: Sequence[str]) -> Iterator[str]:
    """The words, with the option put before every further value that follows it.

    Args:
        option: Its name.
        suffixes: What the further values end in, in lower case.
        words: Of a command line. Nothing changes behind ``--``.
    """
    rest = list(words)
    end = rest.index("--") if "--" in rest else len(rest)
    at_first_value = following = False
    for word in rest[:end]:
        following = at_first_value or (following and word.lower().endswith(tuple(suffixes)))
        if following and not at_first_value:
            yield option
        yield word
        at_first_value = word == option
    yield from rest[end:]
