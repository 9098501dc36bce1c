"""``nstbatch deconv --checkpoints``: the same filters over the epochs of training."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nstbatch.cli.extras import torch_needed
from nstbatch.cli.jobs.painting import Status, Stop
from nstbatch.cli.output.survey import Standing
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet, LayerMaxima, Projection, check_enough
from nstbatch.runtime.deconvnet.maxima_file import fingerprint, maximum_record
from nstbatch.runtime.deconvnet.options import DeconvnetOptions, FilterChoice
from nstbatch.runtime.deconvnet.sheets import evolution_sheet, file_stem
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import UsageError

from .outcomes import SheetOutcome, SheetReporter, planned_sheet
from .sheet_file import OneSheet


@dataclass(frozen=True)
class CheckpointSeries:
    """One network and its weights at several epochs."""

    source: str
    """As ``nstbatch export`` takes it."""
    files: tuple[Path, ...]
    folder: Path
    """Where their bundles go."""
    load: Callable[[Path], Deconvnet]

    @property
    def names(self) -> list[str]:
        """What the columns are called: the files' names, with their folders if need be."""
        stems = [file.stem for file in self.files]
        return stems if len(set(stems)) == len(stems) else [str(file) for file in self.files]

    @property
    def read_files(self) -> list[Path]:
        """All that the networks are made of."""
        place = Path(self.source.rpartition(":")[0])
        return [*self.files, place] if place.suffix == ".py" else [*self.files]


@dataclass(frozen=True)
class Evolution:
    """A sheet for each layer: a row for each filter, a column for each checkpoint."""

    series: CheckpointSeries
    images: Sequence[Path]
    layers: Sequence[str]
    filters: FilterChoice
    options: DeconvnetOptions
    out: Path
    overwrite: bool

    def check(self) -> None:
        """Raise a UsageError for what is wrong with all sheets."""
        if not self.layers:
            raise UsageError("Which layer? Name one with --layer.")
        check_enough(len(self.images))
        with torch_needed():
            from nstbatch.exporter.training_epochs import check_epochs
        check_epochs(self.series.source, self.series.files, self.layers)

    def planned(self) -> Iterator[SheetOutcome]:
        """What a dry run shows."""
        for layer in self.layers:
            yield planned_sheet(self._sheet(layer).path, self.overwrite, {"layer": layer})

    def draw(self, reporter: SheetReporter, stop: Stop) -> None:
        """Export the checkpoints, visualise each, and draw the sheets.

        Raises:
            UsageError: The folder holds sheets of other images or settings.
            ImageError: Fewer than nine images can be read.
            KeyboardInterrupt: ``stop`` said so.
        """
        missing = []
        for layer in self.layers:
            sheet = self._sheet(layer)
            if sheet.is_finished(self.overwrite):
                skipped = SheetOutcome(Status.SKIPPED, sheet.path, reason=Standing.DONE.value)
                reporter.finished(skipped)
            else:
                missing.append(layer)
        if missing:
            self._draw(missing, reporter, stop)

    def _sheet(self, layer: str) -> OneSheet:
        settings = ["evolution", self.series.source, layer, self.options, self.filters]
        key = fingerprint([*self.images, *self.series.read_files], [], settings)
        return OneSheet(self.out / f"{file_stem(layer)}_evolution.png", key)

    def _draw(self, layers: Sequence[str], reporter: SheetReporter, stop: Stop) -> None:
        from nstbatch.exporter.training_epochs import export_epochs

        start = time.perf_counter()
        series = self.series
        bundles = export_epochs(series.source, series.files, layers, series.folder, reporter.say)
        chosen: dict[str, tuple[int, ...]] = {}
        epochs: dict[str, dict[str, Epoch]] = {layer: {} for layer in layers}
        # The last one first: it says which filters are the strongest.
        for name, bundle in reversed(list(zip(series.names, bundles, strict=True))):
            deconvnet = series.load(bundle.path)
            with reporter.passing(len(self.images)) as progress:
                found = deconvnet.search(self.images, layers, progress=progress, stop=stop)
            for layer in layers:
                if layer not in chosen:
                    strengths = [f.strength for f in found[layer].filters]
                    chosen[layer] = self.filters.of(layer, strengths)
                epochs[layer][name] = Epoch.of(deconvnet, found[layer], chosen[layer])
        reporter.left_out(next(iter(found.values())).unreadable)
        for layer in layers:
            in_order = {name: epochs[layer][name] for name in series.names}
            self._write(layer, in_order, reporter, time.perf_counter() - start)

    def _write(
        self, layer: str, epochs: Mapping[str, Epoch], reporter: SheetReporter, seconds: float
    ) -> None:
        sheet = self._sheet(layer)
        title = f"{self.series.source}, {layer}, {self.options.rule}"
        pixels = evolution_sheet(title, {name: e.projections for name, e in epochs.items()})
        numbers = {
            "source": self.series.source,
            "layer": layer,
            "rule": self.options.rule,
            "size": self.options.size,
            "checkpoints": [
                {"file": os.fspath(file), "filters": epochs[name].records}
                for name, file in zip(self.series.names, self.series.files, strict=True)
            ],
        }
        sheet.write(pixels, numbers)
        steps = sum(p is not None for e in epochs.values() for p in e.projections.values())
        provider = epochs[self.series.names[-1]].provider
        reporter.finished(
            SheetOutcome(
                Status.DONE,
                sheet.path,
                seconds=seconds,
                steps=steps,
                provider=provider.device,
                precision=provider.precision,
                details={"layer": layer, "checkpoints": numbers["checkpoints"]},
            )
        )


@dataclass(frozen=True)
class Epoch:
    """The strongest activation of each chosen filter at one checkpoint."""

    projections: Mapping[int, Projection | None]
    """By the filter's number; None where it is dead."""
    records: list[dict[str, object]]
    """The same as JSON."""
    provider: Provider

    @classmethod
    def of(cls, deconvnet: Deconvnet, found: LayerMaxima, filters: Sequence[int]) -> Epoch:
        """Project the strongest activations of a layer's filters."""
        strongest = [found.filters[n].maxima[0] for n in filters if found.filters[n].maxima]
        projected = {p.maximum.filter: p for p in deconvnet.project(found, strongest)}
        records = [
            {
                "filter": number,
                "fires": found.filters[number].fires,
                "dead": found.filters[number].is_dead,
                "maxima": [
                    maximum_record(found, maximum, deconvnet)
                    for maximum in found.filters[number].maxima[:1]
                ],
            }
            for number in filters
        ]
        return cls({n: projected.get(n) for n in filters}, records, deconvnet.engine.provider)
