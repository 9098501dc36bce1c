"""Reports of reconstructions: a JSON file beside each sheet, a CSV of all images, and a table.

The CSV and the table are made from the JSON files, so that they also include the images of earlier
runs.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nstbatch.cli.text import columns, printable
from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.formats.picture_options import SUFFIXES_OF_FORMATS
from nstbatch.runtime.systems.reconstruction_options import TV_SWEEP

if TYPE_CHECKING:
    from nstbatch.runtime.systems.reconstruction import ReconstructionResult
    from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions

log = logging.getLogger(__name__)

CSV_NAME = "reconstruction.csv"

# Mahendran & Vedaldi (CVPR 2015), table 3: mean error over 100 images in percent, of a network like
# AlexNet; by layer, for the weights in TV_SWEEP. Only layers that torchvision's AlexNet has too.
# Their error divides the distance of two representations by the mean distance between images.
PUBLISHED: Mapping[str, Sequence[float]] = {
    "conv1": (10.0, 20.2, 40.8),
    "relu1": (11.3, 22.4, 45.2),
    "pool1": (21.9, 30.3, 54.1),
    "conv2": (12.4, 20.0, 39.7),
    "relu2": (12.9, 17.4, 32.8),
    "pool2": (15.5, 18.2, 32.7),
    "conv3": (14.5, 14.4, 25.6),
    "relu3": (16.5, 15.1, 26.9),
    "conv4": (14.9, 13.3, 23.3),
    "relu4": (13.8, 14.0, 23.9),
    "conv5": (12.6, 15.4, 25.7),
    "relu5": (15.6, 13.9, 20.1),
    "pool5": (16.6, 15.5, 19.0),
}
PUBLISHED_FOR = "alexnet"


@dataclass(frozen=True)
class Row:
    """One reconstruction in the CSV, in the order of its columns."""

    image: str
    model: str
    layer: str
    tv_weight: float
    error: float
    loss: float
    steps: int
    width: int
    height: int


# --- One image --------------------------------------------------------------------------------


def record(
    image: Path, model: str, result: ReconstructionResult, options: ReconstructionOptions
) -> dict[str, object]:
    """Return the object for the JSON file; other programs rely on its fields."""
    height, width, _ = result.original.shape
    return {
        "image": os.fspath(image),
        "model": model,
        "width": width,
        "height": height,
        "options": asdict(options),
        "provider": result.provider,
        "precision": result.precision,
        "seconds": round(result.seconds, 3),
        "layers": [
            {
                "layer": layer.layer,
                "tv_weight": layer.tv_weight,
                "error": layer.error,
                "loss": layer.losses["total"],
                "steps": layer.steps,
            }
            for layer in result.layers
        ],
    }


def layer_losses(result: ReconstructionResult) -> dict[str, float]:
    """Return the total loss of each layer (in a sweep, of each layer and weight) and of all."""
    counts = Counter(layer.layer for layer in result.layers)
    losses = {
        layer.layer if counts[layer.layer] == 1 else f"{layer.layer}/{layer.tv_weight:g}": (
            layer.losses["total"]
        )
        for layer in result.layers
    }
    return losses | {"total": sum(losses.values())}


# --- All images -------------------------------------------------------------------------------


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of all images with a sheet in an output folder, also from earlier runs."""
    rows: list[Row] = []
    for path in sorted(folder.rglob("*.json")):
        if not any(path.with_suffix(suffix).is_file() for suffix in SUFFIXES_OF_FORMATS.values()):
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if _is_of_another_program(data):  # beside photos, as those of Google Takeout
                continue
            rows += _rows(data)
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("left out of %s: %s: %s", CSV_NAME, printable(path), error)
    return rows


def _is_of_another_program(data: object) -> bool:
    return isinstance(data, dict) and len(data) > 1 and not {"model", "layers"} & data.keys()


def _rows(data: Mapping[str, Any]) -> list[Row]:
    whole = {name: data[name] for name in ("image", "model", "width", "height")}
    of_layer = [field.name for field in fields(Row) if field.name not in whole]
    return [Row(**whole, **{name: layer[name] for name in of_layer}) for layer in data["layers"]]


def write_csv(folder: Path, rows: Sequence[Row]) -> None:
    """Write ``reconstruction.csv`` atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Row))
    writer.writerows(map(astuple, rows))
    write_atomically(folder / CSV_NAME, text.getvalue().encode(errors="surrogateescape"))


def error_table(rows: Sequence[Row], model: str) -> list[tuple[str, ...]]:
    """Return the mean errors over the images in percent: a row per layer, a column per weight.

    For AlexNet, the published errors stand beside them. Rows of other models are left out.
    """
    rows = [row for row in rows if row.model == model]
    weights = sorted({row.tv_weight for row in rows})
    compared = [w for w in weights if w in TV_SWEEP] if model == PUBLISHED_FOR else []
    title = ("LAYER", *(f"TV {w:g}" for w in weights), *(f"PUBLISHED {w:g}" for w in compared))
    return [
        title,
        *(
            (
                layer,
                *(_percent(_mean_error(rows, layer, weight)) for weight in weights),
                *(_percent(_published(layer, weight)) for weight in compared),
            )
            for layer in dict.fromkeys(row.layer for row in rows)
        ),
    ]


def _mean_error(rows: Sequence[Row], layer: str, weight: float) -> float | None:
    errors = [row.error for row in rows if (row.layer, row.tv_weight) == (layer, weight)]
    return 100 * fmean(errors) if errors else None


def _published(layer: str, weight: float) -> float | None:
    return PUBLISHED[layer][TV_SWEEP.index(weight)] if layer in PUBLISHED else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def print_table(table: Sequence[Sequence[str]]) -> None:
    """Print a table whose first row is its heading: with lines on a terminal, else plain."""
    if not sys.stdout.isatty():
        print("\n".join(columns(table)), flush=True)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title, *rows = table
    ruled = Table(caption="|F - F0| / |F0| in percent, mean over the images")
    for index, name in enumerate(title):
        ruled.add_column(name, justify="right" if index else "left")
    for row in rows:
        ruled.add_row(*map(Text, row))
    Console().print(ruled)
