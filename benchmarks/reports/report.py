"""What comes out of a benchmark, and the JSON that other programs rely on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Case:
    """What all contestants of a contest do."""

    verb: str
    model: str
    size: int
    """Side of the square pictures, in pixels."""
    batch: int
    """Pictures that a step moves at once."""


@dataclass(frozen=True)
class Row:
    """One contestant in one case. Where it was not measured, only ``reason`` says anything."""

    provider: str
    """A device, or the name of a baseline."""
    precision: str | None
    """Of the convolutions; None where that was not found out."""
    case: Case
    status: str = "done"
    """ "done", "absent" or "failed"."""
    reason: str | None = None
    device: str | None = None
    """Where it ran: "cpu" or "cuda"."""
    ms_per_step: float | None = None
    """The median of all samples."""
    p95_ms: float | None = None
    images_per_second: float | None = None
    """Pictures of the batch times steps, a second."""
    start_seconds: float | None = None
    """From a fresh process to the end of the first step."""
    peak_bytes: int | None = None
    """Of the process's memory; of the GPU's for what runs there."""
    activation_bytes: int | None = None
    """What the linked graph holds at once, counted in float32; None for a baseline, which has none.
    """
    loss: float | None = None
    """The total of the pictures after the warm-up, judged in float32 on the processor."""
    max_difference: float | None = None
    """Of any pixel of these pictures from those of the baseline "torch", in [0, 1]."""
    tflops: float | None = None
    matrix_tflops: float | None = None
    """What its own matrix products reached, in the same rounds."""
    share_of_peak: float | None = None
    """The ratio of the two, by rounds."""
    ratio: Mapping[str, float] = field(default_factory=dict)
    """By baseline: how many times as fast, the median over the rounds."""
    ratio_interval: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The interval that it lies in with a confidence of 95 %."""
    rounds: int = 0
    samples_ms: tuple[float, ...] = ()
    """Every step that counted, in order: as many in each round."""

    def record(self) -> dict[str, object]:
        """The object that the JSON has, with the fields of the case among its own."""
        fields = asdict(self)
        case = fields.pop("case")
        head = {name: fields.pop(name) for name in ("provider", "precision")}
        return {**head, **case, **fields}


@dataclass(frozen=True)
class Stages:
    """Where the time of one picture goes, from file to file."""

    provider: str
    precision: str
    model: str
    size: int
    """Long side of the picture."""
    steps: int
    seconds: Mapping[str, float]
    """By stage, in order; their sum is all of the time."""


@dataclass(frozen=True)
class Report:
    """A whole benchmark."""

    machine: Mapping[str, object]
    options: Mapping[str, object]
    rows: tuple[Row, ...]
    stages: tuple[Stages, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The report as JSON, in which what is not finite is null."""
        records = {
            "machine": self.machine,
            "options": self.options,
            "rows": [row.record() for row in self.rows],
            "stages": [asdict(stages) for stages in self.stages],
            "warnings": self.warnings,
        }
        return json.dumps(_finite(records), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: object) -> object:
    """JSON has no word for what is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(held) for held in value]
    return value
