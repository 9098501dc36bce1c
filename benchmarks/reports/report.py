"""The results of a benchmark, and the JSON that other programs rely on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Case:
    """The settings that all contestants of a contest share."""

    verb: str
    model: str
    size: int
    """Side of the square pictures, in pixels."""
    batch: int
    """Pictures that a step moves at once."""


@dataclass(frozen=True)
class Row:
    """One contestant in one case; if it was not measured, ``reason`` says why."""

    provider: str
    """Name of a device or a baseline."""
    precision: str | None
    """Precision of the convolutions; None if unknown."""
    case: Case
    status: str = "done"
    """ "done", "absent" or "failed"."""
    reason: str | None = None
    device: str | None = None
    """Device on which it ran: "cpu" or "cuda"."""
    ms_per_step: float | None = None
    """Median of all samples."""
    p95_ms: float | None = None
    images_per_second: float | None = None
    """Pictures in the batch times steps per second."""
    start_seconds: float | None = None
    """Seconds from opening the contestant to the end of its first step."""
    peak_bytes: int | None = None
    """Peak memory of the process; on a GPU, the GPU memory taken."""
    activation_bytes: int | None = None
    """Largest memory in use at once in the linked graph, counted in float32; None for a
    baseline."""
    loss: float | None = None
    """Total loss of the pictures after the warm-up, computed in float32 on the processor."""
    max_difference: float | None = None
    """Largest difference of any pixel from the pictures of the baseline "torch", in [0, 1]."""
    tflops: float | None = None
    matrix_tflops: float | None = None
    """Rate of its own matrix products in the same rounds."""
    share_of_peak: float | None = None
    """Ratio of the two rates: the median over the rounds."""
    ratio: Mapping[str, float] = field(default_factory=dict)
    """Speed relative to each baseline: the median over the rounds."""
    ratio_interval: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """95 % confidence interval of each ratio."""
    rounds: int = 0
    samples_ms: tuple[float, ...] = ()
    """Milliseconds of every timed step in order, equally many in each round."""

    def record(self) -> dict[str, object]:
        """The row as a JSON object, with the fields of its case included."""
        fields = asdict(self)
        case = fields.pop("case")
        head = {name: fields.pop(name) for name in ("provider", "precision")}
        return {**head, **case, **fields}


@dataclass(frozen=True)
class Stages:
    """Seconds of each stage of one picture, from file to file."""

    provider: str
    precision: str
    model: str
    size: int
    """Long side of the picture, in pixels."""
    steps: int
    seconds: Mapping[str, float]
    """Seconds by stage, in order; their sum is the whole time."""


@dataclass(frozen=True)
class Report:
    """The results of a whole benchmark."""

    machine: Mapping[str, object]
    options: Mapping[str, object]
    rows: tuple[Row, ...]
    stages: tuple[Stages, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The report as JSON; numbers that are not finite become null."""
        records = {
            "machine": self.machine,
            "options": self.options,
            "rows": [row.record() for row in self.rows],
            "stages": [asdict(stages) for stages in self.stages],
            "warnings": self.warnings,
        }
        return json.dumps(_finite(records), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: object) -> object:
    """Replace numbers that are not finite by None, since JSON has no word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(held) for held in value]
    return value
