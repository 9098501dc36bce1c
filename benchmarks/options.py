"""What a benchmark can be told, with its defaults: one definition for library and command.

Nothing heavy is imported here, so that the command line can show the defaults without numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nstbatch.runtime.checks import at_least, one_of
from nstbatch.runtime.devices.provider_options import EXECUTION_PROVIDERS
from nstbatch.runtime.devices.providers import PRECISIONS
from nstbatch.runtime.errors import UsageError

PROVIDERS = tuple(EXECUTION_PROVIDERS)

# The baselines, and the precision that their convolutions run in.
PEERS = {"torch": "fp32", "torch-bf16": "bf16", "torch-compile": "fp32"}

VERBS = ("stylize", "texture", "reconstruct", "dream")

# Steps of the one picture that is taken from file to file, over all scales. It is done once for
# each device and its first steps are not slower than the rest, so a few for each scale will do.
STAGE_ITERATIONS = 20


@dataclass(frozen=True)
class Entry:
    """Who takes part: a device in a precision, or a PyTorch baseline."""

    name: str
    precision: str = "auto"
    """What was asked for; "auto" is the device's own."""

    @property
    def is_peer(self) -> bool:
        """Whether this is a baseline."""
        return self.name in PEERS

    def __str__(self) -> str:
        return self.name if self.precision == "auto" else f"{self.name}:{self.precision}"


@dataclass(frozen=True)
class BenchOptions:
    """What is measured, and how often.

    Attributes:
        verb: Whose objective is stepped down, one of :data:`VERBS`.
        model: Name of a bundle, or its folder.
        providers: Devices of :data:`PROVIDERS`, each with a precision.
        against: Baselines of :data:`PEERS`.
        sizes: Sides of the square pictures, in pixels.
        batches: How many pictures a step moves at once.
        rounds: How often each contestant has its turn.
        steps: Steps of a turn that count; one more in front of them does not.
        warm_up: Steps before the first turn. Losses and pictures are compared after these.
        threads: How many each contestant may use; None for all cores of this process.
        stages: Whether to take one picture from file to file on every device as well.

    Raises:
        UnknownNameError: For a verb, device, precision or baseline that is not there.
        UsageError: For a value that is out of range, and where nothing would take part.
    """

    verb: str = "stylize"
    model: str = "vgg16"
    providers: tuple[Entry, ...] = tuple(map(Entry, PROVIDERS))
    against: tuple[Entry, ...] = tuple(map(Entry, PEERS))
    sizes: tuple[int, ...] = (512,)
    batches: tuple[int, ...] = (1,)
    # Seven is odd, so that one round is the median, and enough for the bootstrap to resample;
    # two steps a turn keep a turn short beside the drift of a machine. Both are guesses.
    rounds: int = 7
    steps: int = 2
    warm_up: int = 10
    threads: int | None = None
    stages: bool = True

    def __post_init__(self) -> None:
        one_of("verb", self.verb, VERBS)
        for kind, entries, known in (
            ("provider", self.providers, PROVIDERS),
            ("baseline", self.against, tuple(PEERS)),
        ):
            for entry in entries:
                one_of(kind, entry.name, known)
        for entry in self.providers:
            one_of("precision", entry.precision, PRECISIONS)
        for entry in self.against:
            if entry.precision != "auto":
                raise UsageError(f"The precision of a baseline is in its name: not {entry}.")
        if not (self.providers or self.against):
            raise UsageError("There is nothing to measure: no provider and no baseline.")
        for name in ("sizes", "batches"):
            if not getattr(self, name):
                raise UsageError(f"There is nothing to measure: no {name}.")
            for value in getattr(self, name):
                at_least(name, value, 1)
        for name in ("rounds", "steps", "warm_up"):
            at_least(name, getattr(self, name), 1)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everybody, in the order of their turns: devices, then baselines; nobody twice."""
        return tuple(dict.fromkeys((*self.providers, *self.against)))


def parse_entries(text: str) -> tuple[Entry, ...]:
    """Read ``"cpu,openvino:fp32"``; names are looked at by :class:`BenchOptions`."""
    entries = []
    for word in words(text):
        name, _, precision = word.partition(":")
        entries.append(Entry(name.strip(), precision.strip() or "auto"))
    return tuple(entries)


def parse_numbers(option: str, text: str) -> tuple[int, ...]:
    """Read ``"256,512"``, each number once, in order.

    Raises:
        UsageError: For what is no whole number; names the option.
    """
    try:
        return tuple(sorted({int(word) for word in words(text)}))
    except ValueError:
        raise UsageError(f"{option} takes whole numbers, such as 256,512; not {text!r}.") from None


def as_list(values: Iterable[object]) -> str:
    """What the two above read."""
    return ",".join(map(str, values))


def words(text: str) -> Sequence[str]:
    """The parts of a list with commas, without spaces around them; none for an empty text."""
    return [word.strip() for word in text.split(",") if word.strip()]
