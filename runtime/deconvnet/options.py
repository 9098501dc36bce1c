"""What a deconvnet can be told, with its defaults: one definition for library and command.

Nothing heavy is imported here, so that the command line can show the defaults without numpy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from nstbatch.runtime.checks import at_least, one_of
from nstbatch.runtime.errors import UsageError

Rule = Literal["deconv", "gradient", "guided"]
RULES: tuple[Rule, ...] = get_args(Rule)

# Zeiler & Fergus 2014, figure 2: the nine strongest activations of a feature map.
STRONGEST = 9


@dataclass(frozen=True)
class DeconvnetOptions:
    """How features are visualised.

    Attributes:
        rule: What ReLUs do on the way back: "deconv" (Zeiler & Fergus 2014), "gradient", or
            "guided" (Springenberg et al. 2015).
        size: Side of the square that every image is brought to, in pixels.

    Raises:
        UsageError: For a value that is out of range, naming the option.
    """

    rule: Rule = "deconv"
    size: int = 224  # Zeiler & Fergus 2014, section 3: crops of 224x224; torchvision's networks

    def __post_init__(self) -> None:
        one_of("rule", self.rule, RULES)
        at_least("size", self.size, 1)


@dataclass(frozen=True)
class FilterChoice:
    """Which filters of a layer to look at.

    Attributes:
        ranges: Their numbers; none for the strongest.
        strongest: How many of those whose strongest activation is the highest of the layer.
        everything: Whether all.
    """

    ranges: tuple[range, ...] = ()
    # As many as can be looked at on one sheet (a guess). The strongest ones are alive, and show
    # what a layer responds to most; the first ones would be an accident of training.
    strongest: int = 16
    everything: bool = False

    @classmethod
    def parse(cls, text: str) -> FilterChoice:
        """Read ``0-15,42``, ``all``, ``strongest`` or ``strongest:40``.

        Raises:
            UsageError: It is something else.
        """
        words = [word.strip() for word in text.split(",")]
        if words == ["all"]:
            return cls(everything=True)
        if match := re.fullmatch(r"strongest(?::([1-9]\d*))?", text.strip()):
            return cls(strongest=int(match[1])) if match[1] else cls()
        return cls(ranges=tuple(_range(word) for word in words))

    def of(self, layer: str, values: Sequence[float]) -> tuple[int, ...]:
        """The numbers of the filters, in order.

        Args:
            layer: What the message calls the layer.
            values: The strongest activation of every filter of it.

        Raises:
            UsageError: The layer has no such filter.
        """
        if self.everything:
            return tuple(range(len(values)))
        if not self.ranges:
            strength = sorted(range(len(values)), key=lambda number: -values[number])
            return tuple(sorted(strength[: self.strongest]))
        self.check(layer, len(values))
        return tuple(sorted({number for part in self.ranges for number in part}))

    def check(self, layer: str, filters: int) -> None:
        """Raise a UsageError unless a layer of so many filters has those that are named."""
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
