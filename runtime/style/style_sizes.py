"""The options for the size of the style, which all methods of style transfer have.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nstbatch.runtime.checks import Own, above, bound
from nstbatch.runtime.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class StyleSizes:
    """The size at which the style is seen: larger structures with a larger one.

    Attributes:
        style_size: Long side of the style at the last scale, in pixels, and smaller in proportion
            before; None for ``style_scale``.
        style_scale: Long side of the style as a multiple of the picture's.

    Raises:
        UsageError: A value is of another type or out of range, or both are given.
    """

    size: int | Own
    style_size: int | None = None
    style_scale: float = 1.0  # neural-style: -style_scale

    def __post_init__(self) -> None:
        bound("style_size", self.style_size)
        above("style_scale", self.style_scale, 0)
        if self.style_size is not None and self.style_scale != StyleSizes.style_scale:
            raise UsageError("Give the style_size or the style_scale, not both.")

    @property
    def style_reading_size(self) -> int | Own:
        """The long side that the style is resized to at most; "own" if it depends on the photo."""
        if self.style_size is not None:
            return self.style_size
        return self.size if isinstance(self.size, str) else math.ceil(self.size * self.style_scale)

    def style_scale_for(self, side: int) -> float:
        """Return the style's size as a multiple of the picture's, for a picture's long side."""
        return self.style_scale if self.style_size is None else self.style_size / side
