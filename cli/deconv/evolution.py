"""``nstbatch deconv --checkpoints``: the same filters after several epochs of training."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.extras import torch_needed
from nstbatch.cli.jobs.painting import Painting, Stop
from nstbatch.cli.jobs.plan import Job, Source
from nstbatch.cli.text import count
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet, LayerMaxima, Projection, check_enough
from nstbatch.runtime.deconvnet.deconvnet_options import DeconvnetOptions, FilterChoice
from nstbatch.runtime.deconvnet.maxima_file import fingerprint, maximum_record
from nstbatch.runtime.deconvnet.sheets import evolution_sheet, file_stem
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import UsageError

from .sheet_kind import Say, of_images

if TYPE_CHECKING:
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.engine.engine import Engine

FORMAT = 1


@dataclass(frozen=True)
class CheckpointSeries:
    """One network and its weights after several epochs of training."""

    source: str
    """The network, as ``nstbatch export`` takes it."""
    files: tuple[Path, ...]
    folder: Path
    """Folder for the bundles."""
    load: Callable[[Path], Deconvnet]

    @property
    def names(self) -> list[str]:
        """Names of the columns: the files' names, with their folders if two are alike."""
        stems = [file.stem for file in self.files]
        return stems if len(set(stems)) == len(stems) else [str(file) for file in self.files]

    @property
    def read_files(self) -> list[Path]:
        """All files that the networks are made from."""
        place = Path(self.source.rpartition(":")[0])
        return [*self.files, place] if place.suffix == ".py" else [*self.files]


@dataclass
class Evolution:
    """A sheet for each layer: a row for each filter, a column for each epoch."""

    series: CheckpointSeries
    images: Sequence[Path]
    layers: Sequence[str]
    filters: FilterChoice
    options: DeconvnetOptions
    out: Path
    overwrite: bool
    suffix: str
    say: Say
    engines: list[Engine] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)
    _epochs: dict[str, dict[str, Epoch]] = field(default_factory=dict)

    @property
    def effort(self) -> None:
        """Nothing is known."""

    def check(self) -> None:
        """Raise a UsageError for a fault of all sheets."""
        if not self.layers:
            raise UsageError("Which layer? Name one with --layer.")
        check_enough(len(self.images))
        with torch_needed():
            from nstbatch.exporter.training_epochs import check_epochs
        check_epochs(self.series.source, self.series.files, self.layers)

    def search(self, progress: Callable[[int], None], stop: Stop) -> None:
        """Do nothing: the sheets are known without looking at the images."""

    def jobs(self) -> list[Job]:
        """Return a sheet for each layer."""
        return [
            Job(
                Path(f"{layer}, {self.filters}"),
                self._path(layer),
                source=Source.IMAGES,
                digest=self._fingerprint(layer),
                details={"layer": layer},
                settings={"layer": [layer]},
            )
            for layer in self.layers
        ]

    def paint(self, job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        """Draw the sheet of one layer; the first one exports and searches for all of them.

        Raises:
            ImageError: Fewer than nine images can be read.
            KeyboardInterrupt: ``stop`` said so.
        """
        layer = str(job.details["layer"])
        if layer not in self._epochs:
            self._search(layer, progress, stop)
        epochs = {name: self._epochs[layer][name] for name in self.series.names}
        title = f"{self.series.source}, {layer}, {self.options.rule}"
        checkpoints = [
            {"file": os.fspath(file), "filters": epochs[name].records}
            for name, file in zip(self.series.names, self.series.files, strict=True)
        ]
        numbers = {
            "format": FORMAT,
            "fingerprint": job.digest,
            "source": self.series.source,
            "layer": layer,
            "rule": self.options.rule,
            "size": self.options.size,
            "checkpoints": checkpoints,
        }
        text = json.dumps(numbers, indent=1, allow_nan=False)
        provider = epochs[self.series.names[-1]].provider
        return Painting(
            evolution_sheet(title, {name: each.projections for name, each in epochs.items()}),
            None,
            {},
            sum(p is not None for each in epochs.values() for p in each.projections.values()),
            provider.device,
            provider.precision,
            companions={".json": f"{text}\n".encode()},
            details={"checkpoints": checkpoints},
        )

    def finish(self, stop: Stop) -> list[Path]:
        """Return no further files."""
        return []

    def _path(self, layer: str) -> Path:
        return self.out / f"{file_stem(layer)}_evolution{self.suffix}"

    def _fingerprint(self, layer: str) -> str:
        settings = ["evolution", self.series.source, layer, self.options, self.filters]
        return fingerprint([*self.images, *self.series.read_files], [], settings)

    def _search(self, first: str, progress: ProgressCallback, stop: Stop) -> None:
        """Export the epochs, and visualise each: this layer, and those that are not there yet."""
        from nstbatch.exporter.training_epochs import export_epochs

        series = self.series
        layers = [
            layer
            for layer in self.layers
            if layer == first or self.overwrite or not self._path(layer).is_file()
        ]
        bundles = export_epochs(series.source, series.files, layers, series.folder, self.say)
        chosen: dict[str, tuple[int, ...]] = {}
        # The last one first: its activations say which filters are the strongest.
        for name, bundle in reversed(list(zip(series.names, bundles, strict=True))):
            deconvnet = series.load(bundle.path)
            self.engines.append(deconvnet.engine)
            self.say(f"passing over {count(len(self.images), 'image')} with {name}")
            report = of_images(progress, name, len(self.images), self.options.size)
            found = deconvnet.search(self.images, layers, progress=report, stop=stop)
            for layer in layers:
                if layer not in chosen:
                    strengths = [each.strength for each in found[layer].filters]
                    chosen[layer] = self.filters.of(layer, strengths)
                epoch = Epoch.of(deconvnet, found[layer], chosen[layer])
                self._epochs.setdefault(layer, {})[name] = epoch
        self.unreadable.update(next(iter(found.values())).unreadable)


@dataclass(frozen=True)
class Epoch:
    """The strongest activation of each chosen filter at one checkpoint."""

    projections: Mapping[int, Projection | None]
    """Projections by the filter's number; None for a dead filter."""
    records: list[dict[str, object]]
    """The same projections, as JSON."""
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
