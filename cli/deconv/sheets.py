"""The sheets of ``nstbatch deconv``: the pass over the images, and then one filter after another.

The maxima are kept in ``deconv.json`` and each sheet appears whole, so that a run that was ended
goes on where it stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nstbatch.cli.jobs.painting import Status, Stop
from nstbatch.cli.output.survey import Standing
from nstbatch.cli.text import printable
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet, LayerMaxima, Projection, check_enough
from nstbatch.runtime.deconvnet.maxima import FilterMaxima
from nstbatch.runtime.deconvnet.maxima_file import MaximaFile, fingerprint, maximum_record
from nstbatch.runtime.deconvnet.options import FilterChoice
from nstbatch.runtime.deconvnet.sheets import file_stem, filter_sheet, overview_sheet, sheet_path
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.pictures import images as pictures

from .outcomes import SheetOutcome, SheetReporter, planned_sheet

log = logging.getLogger(__name__)

MAXIMA = "deconv.json"

# Filters on one overview: about as high as it is wide.
OVERVIEW = 16


@dataclass(frozen=True)
class FilterSheets:
    """A sheet for each filter: what is to be drawn, with what, and where to."""

    deconvnet: Deconvnet
    images: Sequence[Path]
    layers: Sequence[str]
    filters: FilterChoice
    out: Path
    overwrite: bool

    @property
    def title(self) -> str:
        """What every sheet begins with."""
        return f"{self.deconvnet.engine.bundle.name}, {self.deconvnet.options.rule}"

    def fingerprint(self, layer: str) -> str:
        """What the maxima and the sheets of a layer depend on."""
        bundle = self.deconvnet.engine.bundle
        return fingerprint(self.images, [bundle], [layer, self.deconvnet.options])

    def check(self) -> None:
        """Raise a UsageError for what is wrong with all sheets."""
        layers_named(self.layers, self.deconvnet.engine.bundle)
        check_enough(len(self.images))
        self.deconvnet.check(self.layers)
        for layer in self.layers:
            self.filters.check(layer, self.deconvnet.engine.bundle.layer(layer).channels)

    def planned(self) -> Iterator[SheetOutcome]:
        """What a dry run shows: every sheet that is known before the images are looked at."""
        for layer in self.layers:
            channels = self.deconvnet.engine.bundle.layer(layer).channels
            if not (self.filters.everything or self.filters.ranges):
                sheets = self.out / f"{file_stem(layer)}_filter_*.png"
                yield SheetOutcome(Status.PLANNED, sheets, details={"layer": layer, "filter": None})
                continue
            for number in self.filters.of(layer, [0.0] * channels):
                path = sheet_path(self.out, layer, number)
                details = {"layer": layer, "filter": number}
                yield planned_sheet(path, self.overwrite, details)

    def draw(self, reporter: SheetReporter, stop: Stop) -> None:
        """Find the maxima, and draw a sheet for each filter, and overviews.

        Raises:
            UsageError: The folder holds sheets of other images or settings.
            ImageError: Fewer than nine images can be read.
            KeyboardInterrupt: ``stop`` said so.
        """
        file = MaximaFile(self.out / MAXIMA)
        layers = _maxima(self, file, reporter, stop)
        reporter.left_out(next(iter(layers.values())).unreadable)
        for layer, found in layers.items():
            chosen = self.filters.of(layer, [f.strength for f in found.filters])
            parts = [chosen[start : start + OVERVIEW] for start in range(0, len(chosen), OVERVIEW)]
            for number, part in enumerate(parts, start=1):
                suffix = f"_{number}" if len(parts) > 1 else ""
                name = f"{file_stem(layer)}_overview{suffix}.png"
                _draw_part(self, found, part, name, file, reporter, stop)


def layers_named(layers: Sequence[str], bundle: Bundle) -> None:
    """Raise a UsageError that lists the layers where none was asked for."""
    if not layers:
        raise UsageError(f"Which layer? Name one with --layer: {', '.join(bundle.layer_names)}.")


def _maxima(
    run: FilterSheets, file: MaximaFile, reporter: SheetReporter, stop: Stop
) -> dict[str, LayerMaxima]:
    """What was found before, and what is found now in one pass for all the other layers."""
    wanted = {layer: run.fingerprint(layer) for layer in run.layers}
    there = {layer: file.is_of(layer, wanted[layer]) for layer in run.layers}
    others = [layer for layer, same in there.items() if same is False]
    if others and not run.overwrite:
        raise UsageError(
            f"{printable(run.out)} holds sheets of {', '.join(others)} of other images or "
            "settings. Replace them with --overwrite, or choose another folder with --out."
        )
    found = {layer: file.load(layer) for layer, same in there.items() if same}
    missing = [layer for layer in run.layers if layer not in found]
    if missing:
        with reporter.passing(len(run.images)) as progress:
            found |= run.deconvnet.search(run.images, missing, progress=progress, stop=stop)
    for layer in missing:  # or they would be taken for sheets of the new maxima
        for kind in ("filter", "overview"):
            for sheet in run.out.glob(f"{file_stem(layer)}_{kind}*.png"):
                sheet.unlink()
    for layer in missing:
        file.store(found[layer], run.deconvnet, wanted[layer])
    return {layer: found[layer] for layer in run.layers}


def _draw_part(
    run: FilterSheets,
    found: LayerMaxima,
    filters: Sequence[int],
    overview: str,
    file: MaximaFile,
    reporter: SheetReporter,
    stop: Stop,
) -> None:
    """Draw the sheets of a few filters, and the overview of these."""
    has_overview = len(filters) > 1 and (
        run.overwrite
        or file.overview(found.layer, overview) != list(filters)
        or not (run.out / overview).is_file()
    )
    projections: dict[int, Sequence[Projection]] = {}
    for number in filters:
        if stop():
            raise KeyboardInterrupt
        shown = _draw_sheet(run, found, number, has_overview, reporter)
        if shown is not None:
            projections[number] = shown
    if has_overview and len(projections) == len(filters):
        pictures.write(run.out / overview, overview_sheet(run.title, found, projections))
        file.store_overview(found.layer, overview, filters)
        reporter.say(f"overview {run.out / overview}")


def _draw_sheet(
    run: FilterSheets,
    found: LayerMaxima,
    number: int,
    has_overview: bool,
    reporter: SheetReporter,
) -> Sequence[Projection] | None:
    """Draw a filter's sheet, if it is not there, and return the projections, if they are needed."""
    start = time.perf_counter()
    path = sheet_path(run.out, found.layer, number)
    is_there = path.is_file() and not run.overwrite
    of_filter, projections = found.filters[number], None
    try:
        if has_overview or not is_there:
            projections = run.deconvnet.project(found, of_filter.maxima)
        if projections is not None and not is_there:
            pictures.write(path, filter_sheet(run.title, found, number, projections))
    except ImageError as error:
        log.debug("The traceback of %s", printable(path), exc_info=error)
        reporter.finished(SheetOutcome(Status.FAILED, path, reason=str(error)))
        return None
    seconds = time.perf_counter() - start
    reporter.finished(_outcome(run, found, of_filter, path, is_there, seconds))
    return projections


def _outcome(
    run: FilterSheets,
    found: LayerMaxima,
    of_filter: FilterMaxima,
    path: Path,
    is_there: bool,
    seconds: float,
) -> SheetOutcome:
    provider = run.deconvnet.engine.provider
    return SheetOutcome(
        Status.SKIPPED if is_there else Status.DONE,
        path,
        reason=Standing.DONE.value if is_there else None,
        seconds=0.0 if is_there else seconds,
        steps=0 if is_there else len(of_filter.maxima),
        provider=None if is_there else provider.device,
        precision=None if is_there else provider.precision,
        details={
            "layer": found.layer,
            "filter": of_filter.filter,
            "dead": of_filter.is_dead,
            "fires": of_filter.fires,
            "maxima": [maximum_record(found, m, run.deconvnet) for m in of_filter.maxima],
        },
    )
