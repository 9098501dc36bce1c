"""A sheet for each filter: the pass over the images, and then one filter after another.

The maxima are kept in ``deconv.json``, so a run that was killed does not repeat the pass.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.jobs.painting import Painting, Stop
from nstbatch.cli.jobs.plan import Job, Source, refuse_overwriting
from nstbatch.cli.output.claims import Claims
from nstbatch.cli.output.ledger import Ledger
from nstbatch.cli.text import printable
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.deconvnet.deconvnet import BATCH, Deconvnet, LayerMaxima, check_enough
from nstbatch.runtime.deconvnet.deconvnet_options import FilterChoice
from nstbatch.runtime.deconvnet.maxima_file import MaximaFile, fingerprint, maximum_record
from nstbatch.runtime.deconvnet.sheets import file_stem, filter_sheet, sheet_path
from nstbatch.runtime.errors import UsageError

from .overviews import Overviews

if TYPE_CHECKING:
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.engine.engine import Engine

MAXIMA = "deconv.json"

Naming = Callable[[Path, int, str, int], Path]
"""(path, index, layer, filter) -> the path under the name that ``--name`` gives it."""


@dataclass
class FilterSheets:
    """A sheet for each filter of some layers."""

    deconvnet: Deconvnet
    images: Sequence[Path]
    layers: Sequence[str]
    filters: FilterChoice
    out: Path
    overwrite: bool
    suffix: str
    """Suffix of the sheets."""
    rename: Naming
    unreadable: dict[Path, str] = field(default_factory=dict)
    _found: dict[str, LayerMaxima] = field(default_factory=dict)
    _overviews: Overviews | None = None
    _jobs: dict[Job, tuple[str, int]] = field(default_factory=dict)
    _fingerprints: dict[str, str] = field(default_factory=dict)

    @property
    def engines(self) -> list[Engine]:
        """The one network."""
        return [self.deconvnet.engine]

    @property
    def effort(self) -> Effort:
        """The memory that the search and the sheets take."""
        square = (self.deconvnet.options.size, self.deconvnet.options.size)
        search = partial(self.deconvnet.engine.peak_of_search, self.layers, BATCH)
        return Effort(None, lambda photo: square, lambda shape, sheets: search(shape))

    @property
    def title(self) -> str:
        """The beginning of every sheet's title."""
        return f"{self.deconvnet.engine.bundle.name}, {self.deconvnet.options.rule}"

    def check(self) -> None:
        """Raise a UsageError for a fault of all sheets."""
        layers_named(self.layers, self.deconvnet.engine.bundle)
        check_enough(len(self.images))
        self.deconvnet.check(self.layers)
        for layer in self.layers:
            self.filters.check(layer, self.deconvnet.engine.bundle.layer(layer).channels)

    def search(self, progress: Callable[[int], None], stop: Stop) -> None:
        """Find the strongest activations of the layers that ``deconv.json`` does not have yet.

        Raises:
            UsageError: The folder holds sheets of other images or settings.
            ImageError: Fewer than nine images can be read.
            KeyboardInterrupt: ``stop`` said so.
        """
        file = MaximaFile(self.out / MAXIMA)
        wanted = {layer: self._fingerprint(layer) for layer in self.layers}
        there = {layer: file.is_of(layer, wanted[layer]) for layer in self.layers}
        others = [layer for layer, same in there.items() if same is False]
        if others and not self.overwrite:
            raise UsageError(
                f"{printable(self.out)} holds sheets of {', '.join(others)} of other images or "
                "settings. Replace them with --overwrite, or choose another folder with --out."
            )
        found = {layer: file.load(layer) for layer, same in there.items() if same}
        missing = [layer for layer in self.layers if layer not in found]
        if missing:
            found |= self.deconvnet.search(self.images, missing, progress=progress, stop=stop)
        with Claims(self.out).ledger_lock():
            now = MaximaFile(self.out / MAXIMA)  # another process may have been faster
            for layer in missing:
                if not now.is_of(layer, wanted[layer]):
                    self._remove_sheets(layer)
                    now.store(found[layer], self.deconvnet, wanted[layer])
        self._found = {layer: found[layer] for layer in self.layers}
        self.unreadable.update(next(iter(found.values())).unreadable)
        self._overviews = Overviews(
            self.deconvnet, self._found, now, self.title, self.out, self.suffix, self.overwrite
        )

    def jobs(self) -> list[Job]:
        """Return the sheets; of a layer that was not searched, one job for all its filters.

        Raises:
            UsageError: An overview would overwrite one of the images.
        """
        for layer in self.layers:
            if layer in self._found or self.filters.everything or self.filters.ranges:
                for number in self._numbers(layer):
                    self._jobs[self._job(layer, number, len(self._jobs))] = (layer, number)
            else:
                self._jobs[self._job_of_all(layer)] = (layer, 0)
        if self._overviews is not None:
            self._overviews.expect(self._jobs)
            refuse_overwriting(self._overviews.missing, self.images)
        return list(self._jobs)

    def paint(self, job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        """Project the strongest activations of a filter, and draw its sheet.

        Raises:
            ImageError: An image can no longer be read.
        """
        layer, number = self._jobs[job]
        found = self._found[layer]
        maxima = found.filters[number].maxima
        projections = self.deconvnet.project(found, maxima)
        if self._overviews is not None:
            self._overviews.keep(layer, number, projections)
        provider = self.deconvnet.engine.provider
        return Painting(
            filter_sheet(self.title, found, number, projections),
            None,
            {},
            len(maxima),
            provider.device,
            provider.precision,
        )

    def finish(self, stop: Stop) -> list[Path]:
        """Draw the overviews, and return the new ones."""
        return [] if self._overviews is None else self._overviews.draw_missing(stop)

    def _fingerprint(self, layer: str) -> str:
        """SHA-256 of all that the maxima of a layer depend on."""
        if layer not in self._fingerprints:  # it looks at every image
            networks, settings = [self.deconvnet.engine.bundle], [layer, self.deconvnet.options]
            self._fingerprints[layer] = fingerprint(self.images, networks, settings)
        return self._fingerprints[layer]

    def _numbers(self, layer: str) -> Sequence[int]:
        found = self._found.get(layer)
        if found is not None:
            return self.filters.of(layer, [each.strength for each in found.filters])
        return self.filters.of(layer, [0.0] * self.deconvnet.engine.bundle.layer(layer).channels)

    def _job(self, layer: str, number: int, index: int) -> Job:
        path = sheet_path(self.out, layer, number).with_suffix(self.suffix)
        return Job(
            Path(f"{layer}, filter {number}"),
            self.rename(path, index, layer, number),
            source=Source.IMAGES,
            digest=hashlib.sha256(f"{self._fingerprint(layer)} {number}".encode()).hexdigest(),
            details={"layer": layer, "filter": number, **self._record(layer, number)},
            settings={"layer": [layer], "filters": str(number)},
        )

    def _job_of_all(self, layer: str) -> Job:
        """Return a job that stands for the strongest filters, before they are known."""
        return Job(
            Path(f"{layer}, {self.filters}"),
            self.out / f"{file_stem(layer)}_filter_*{self.suffix}",
            source=Source.IMAGES,
            details={"layer": layer, "filter": None},
        )

    def _record(self, layer: str, number: int) -> dict[str, object]:
        if layer not in self._found:
            return {}
        found = self._found[layer]
        of_filter = found.filters[number]
        return {
            "dead": of_filter.is_dead,
            "fires": of_filter.fires,
            "maxima": [maximum_record(found, each, self.deconvnet) for each in of_filter.maxima],
        }

    def _remove_sheets(self, layer: str) -> None:
        """Remove the sheets of former maxima: they would pass for sheets of the new ones."""
        for path in self._former_sheets(layer):
            path.unlink(missing_ok=True)

    def _former_sheets(self, layer: str) -> Iterator[Path]:
        """Yield the sheets and overviews of earlier runs, but no other files in the folder."""
        of_layer = f"{layer}, filter "
        sheets = [line for line in Ledger(self.out).finished if line.input.startswith(of_layer)]
        yield from (self.out / line.output for line in sheets)
        if sheets:
            overview = re.compile(rf"{re.escape(file_stem(layer))}_overview(_\d+)?\.\w+")
            found = self.out.glob(f"{file_stem(layer)}_overview*.*")
            yield from (path for path in found if overview.fullmatch(path.name))


def layers_named(layers: Sequence[str], bundle: Bundle) -> None:
    """Raise a UsageError that lists the layers if none is named."""
    if not layers:
        raise UsageError(f"Which layer? Name one with --layer: {', '.join(bundle.layer_names)}.")
