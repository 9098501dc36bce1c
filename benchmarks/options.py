"""The options of a benchmark with their defaults: one definition for library and command.

Nothing heavy is imported here, so that the command line can show the defaults without numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nstbatch.runtime.checks import one_of, whole
from nstbatch.runtime.devices.providers import DEVICES, PRECISIONS
from nstbatch.runtime.errors import UsageError

PROVIDERS = tuple(device for device in DEVICES if device != "auto")

# The baselines, and the precision of their convolutions.
PEERS = {"torch": "fp32", "torch-bf16": "bf16", "torch-compile": "fp32"}

VERBS = ("stylize", "texture", "reconstruct", "dream")

# Steps, over all scales, of the picture that is timed from file to file. Each device does it once,
# and the first steps are not slower than the rest, so a few steps a scale are enough. A guess.
STAGE_ITERATIONS = 20


@dataclass(frozen=True)
class Entry:
    """A contestant: a device in a precision, or a PyTorch baseline."""

    name: str
    precision: str = "auto"
    """Precision as given; "auto" is the device's default."""

    @property
    def is_peer(self) -> bool:
        """True for a baseline."""
        return self.name in PEERS

    def __str__(self) -> str:
        return self.name if self.precision == "auto" else f"{self.name}:{self.precision}"


@dataclass(frozen=True)
class BenchOptions:
    """Options of a benchmark.

    Attributes:
        verb: Command whose objective the steps minimise, one of :data:`VERBS`.
        model: Name of a bundle, or its folder.
        providers: Devices of :data:`PROVIDERS`, each with a precision.
        against: Baselines of :data:`PEERS`.
        sizes: Sides of the square pictures, in pixels.
        batches: Numbers of pictures that a step moves at once.
        rounds: Number of turns of each contestant.
        steps: Number of timed steps in a turn; one untimed step comes before them.
        warm_up: Steps before the first turn. Losses and pictures are compared after these.
        threads: Number of threads of each contestant; None for all cores of this process.
        stages: True to also time the stages of one picture on each device, from file to file.

    Raises:
        UnknownNameError: A verb, device, precision or baseline does not exist.
        UsageError: A value is out of range, or there is no contestant.
    """

    verb: str = "stylize"
    model: str = "vgg16"
    providers: tuple[Entry, ...] = tuple(map(Entry, PROVIDERS))
    against: tuple[Entry, ...] = tuple(map(Entry, PEERS))
    sizes: tuple[int, ...] = (512,)
    batches: tuple[int, ...] = (1,)
    # Seven is odd, so that one round is the median, and enough for the bootstrap to resample; two
    # steps keep a turn short compared with the drift of a machine. All three are guesses.
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
                raise UsageError(f"A baseline takes no precision, since its name says it: {entry}.")
        if not (self.providers or self.against):
            raise UsageError("There is nothing to measure: no provider and no baseline.")
        for name in ("sizes", "batches"):
            if not getattr(self, name):
                raise UsageError(f"There is nothing to measure: no {name}.")
            for value in getattr(self, name):
                whole(name, value, 1)
        for name in ("rounds", "steps", "warm_up"):
            whole(name, getattr(self, name), 1)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All contestants in the order of their turns: devices, then baselines, without repeats."""
        return tuple(dict.fromkeys((*self.providers, *self.against)))


def parse_entries(text: str) -> tuple[Entry, ...]:
    """Read ``"cpu,openvino:fp32"``; :class:`BenchOptions` checks the names."""
    entries = []
    for word in words(text):
        name, _, precision = word.partition(":")
        entries.append(Entry(name.strip(), precision.strip() or "auto"))
    return tuple(entries)


def parse_numbers(option: str, text: str) -> tuple[int, ...]:
    """Read ``"256,512"``: each number once, sorted.

    Raises:
        UsageError: An entry is not a whole number; names the option.
    """
    try:
        return tuple(sorted({int(word) for word in words(text)}))
    except ValueError:
        raise UsageError(f"{option} takes whole numbers, such as 256,512; not {text!r}.") from None


def as_list(values: Iterable[object]) -> str:
    """Join values with commas, as the two functions above read them."""
    return ",".join(map(str, values))


def words(text: str) -> Sequence[str]:
    """Split a comma-separated list and strip spaces; empty for an empty text."""
    return [word.strip() for word in text.split(",") if word.strip()]
