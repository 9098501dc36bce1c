"""The options of a deconvnet and their defaults: one definition for library and command.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from nstbatch.runtime.checks import flag, one_of, several, whole
from nstbatch.runtime.errors import UsageError

Rule = Literal["deconv", "gradient", "guided"]
RULES: tuple[Rule, ...] = get_args(Rule)

# Zeiler & Fergus 2014, figure 2: the nine strongest activations of a feature map.
STRONGEST = 9


@dataclass(frozen=True)
class DeconvnetOptions:
    """Options of a deconvnet.

    Attributes:
        rule: Backward rule of ReLUs: "deconv" (Zeiler & Fergus 2014), "gradient", or "guided"
            (Springenberg et al. 2015).
        size: Side of the square to which every image is cropped and resized, in pixels.

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    rule: Rule = "deconv"
    size: int = 224  # Zeiler & Fergus 2014, section 3: crops of 224x224; torchvision's networks

    def __post_init__(self) -> None:
        one_of("rule", self.rule, RULES)
        whole("size", self.size, 1)


@dataclass(frozen=True)
class FilterChoice:
    """A choice of filters of a layer.

    Attributes:
        ranges: Numbers of the filters; empty for the strongest.
        strongest: Number of filters with the highest activations of the layer.
        everything: True for all filters.

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    ranges: tuple[range, ...] = ()
    # As many as fit on a readable sheet (a guess). The strongest filters are alive, and show the
    # main responses of a layer; the first ones would be an accident of training.
    strongest: int = 16
    everything: bool = False

    def __post_init__(self) -> None:
        several("ranges", self.ranges, "ranges")
        whole("strongest", self.strongest, 1)
        flag("everything", self.everything)

    @classmethod
    def parse(cls, text: str) -> FilterChoice:
        """Read ``0-15,42``, ``all``, ``strongest`` or ``strongest:40``.

        Raises:
            UsageError: The text is none of these.
        """
        words = [word.strip() for word in text.split(",")]
        if words == ["all"]:
            return cls(everything=True)
        if match := re.fullmatch(r"strongest(?::([1-9]\d*))?", text.strip()):
            return cls(strongest=int(match[1])) if match[1] else cls()
        return cls(ranges=tuple(_range(word) for word in words))

    def of(self, layer: str, values: Sequence[float]) -> tuple[int, ...]:
        """Return the numbers of the chosen filters, in order.

        Args:
            layer: Name of the layer, for the message.
            values: Strongest activation of each of its filters.

        Raises:
            UsageError: The layer lacks a chosen filter.
        """
        if self.everything:
            return tuple(range(len(values)))
        if not self.ranges:
            strength = sorted(range(len(values)), key=lambda number: -values[number])
            return tuple(sorted(strength[: self.strongest]))
        self.check(layer, len(values))
        return tuple(sorted({number for part in self.ranges for number in part}))

    def check(self, layer: str, filters: int) -> None:
        """Raise a UsageError if a layer with a number of filters lacks a chosen one."""
        for part in self.ranges:
            if part[-1] >= filters:
                raise UsageError(
                    f"{layer} has filters 0 to {filters - 1}; there is no filter {part[-1]}."
                )

    def __str__(self) -> str:
        if self.everything:
            return "all filters"
        if not self.ranges:
            return f"the {self.strongest} strongest filters"
        spans = [f"{p[0]}" if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in self.ranges]
        return f"filters {','.join(spans)}"


def _range(word: str) -> range:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", word)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise UsageError(
            f"{word!r} is no choice of filters: give numbers and ranges such as 0-15,42, "
            "or all, or strongest:16."
        )
    return range(int(match[1]), int(match[2] or match[1]) + 1)
