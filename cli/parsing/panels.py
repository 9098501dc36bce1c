"""The headings that ``--help`` groups options under, and completion of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

SELECTION = "Input and output"
PICTURE = "Picture"
STYLE = "Styles, regions and colours"
LOSSES = "Losses and layers"
OPTIMIZATION = "Optimisation"
FINISH = "Start and finish"
COMPUTING = "Network and device"
WRITING = "Picture files"
REPORTING = "Progress and reports"


def complete(words: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what a shell asks for the words that begin with what was typed."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]
