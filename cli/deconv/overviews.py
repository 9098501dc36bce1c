"""Overviews: up to 16 filters of a layer on one sheet."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nstbatch.cli.jobs.painting import Stop
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.text import printable
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet, LayerMaxima, Projection
from nstbatch.runtime.deconvnet.maxima_file import MaximaFile
from nstbatch.runtime.deconvnet.sheets import file_stem, overview_sheet
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures import images as pictures

log = logging.getLogger(__name__)

# Filters on one overview: about as high as it is wide.
OVERVIEW = 16


@dataclass
class _Part:
    """The filters on one overview, with the sheet and the projections of each."""

    layer: str
    path: Path
    sheets: Mapping[int, Path]
    projections: dict[int, Sequence[Projection]] = field(default_factory=dict)


class Overviews:
    """The overviews of a run that are still to be drawn."""

    def __init__(
        self,
        deconvnet: Deconvnet,
        found: Mapping[str, LayerMaxima],
        file: MaximaFile,
        title: str,
        out: Path,
        suffix: str,
        overwrite: bool,
    ) -> None:
        """Start without any; see :meth:`expect`."""
        self._deconvnet, self._found, self._file, self._title = deconvnet, found, file, title
        self._out, self._suffix, self._overwrite = out, suffix, overwrite
        self._parts: list[_Part] = []
        self._drawn: list[Path] = []

    def expect(self, jobs: Mapping[Job, tuple[str, int]]) -> None:
        """Plan the overviews of these sheets, each given by its layer and filter."""
        for layer in self._found:
            sheets = {number: job.output for job, (of, number) in jobs.items() if of == layer}
            numbers = list(sheets)
            starts = range(0, len(numbers), OVERVIEW)
            for index, start in enumerate(starts, start=1):
                part = {number: sheets[number] for number in numbers[start : start + OVERVIEW]}
                suffix = f"_{index}" if len(starts) > 1 else ""
                path = self._out / f"{file_stem(layer)}_overview{suffix}{self._suffix}"
                if len(part) > 1 and not self._is_there(layer, path, list(part)):
                    self._parts.append(_Part(layer, path, part))

    @property
    def missing(self) -> list[Path]:
        """The overviews that are still to be drawn."""
        return [part.path for part in self._parts]

    def _is_there(self, layer: str, path: Path, filters: list[int]) -> bool:
        known = self._file.overview(layer, path.name)
        return not self._overwrite and path.is_file() and known == filters

    def keep(self, layer: str, number: int, projections: Sequence[Projection]) -> None:
        """Keep a filter's projections for its overview, and draw it as soon as it is complete.

        The sheet that these projections are of need not be written yet.
        """
        for part in list(self._parts):
            if part.layer == layer and number in part.sheets:
                part.projections[number] = projections
                if len(part.projections) == len(part.sheets):
                    self._draw(part)

    def draw_missing(self, stop: Stop) -> list[Path]:
        """Draw the overviews whose sheets are all there, and return those of the whole run.

        Raises:
            KeyboardInterrupt: ``stop`` said so.
        """
        for part in list(self._parts):
            if all(sheet.is_file() for sheet in part.sheets.values()):
                self._project(part, stop)
        return self._drawn

    def _project(self, part: _Part, stop: Stop) -> None:
        found = self._found[part.layer]
        try:
            for number in part.sheets:
                if stop():
                    raise KeyboardInterrupt
                if number not in part.projections:
                    maxima = found.filters[number].maxima
                    part.projections[number] = self._deconvnet.project(found, maxima)
        except ImageError as error:
            log.warning("%s is not drawn: %s", printable(part.path), error)
        else:
            self._draw(part)

    def _draw(self, part: _Part) -> None:
        in_order = {number: part.projections[number] for number in part.sheets}
        sheet = overview_sheet(self._title, self._found[part.layer], in_order)
        pictures.write(part.path, sheet)
        self._file.store_overview(part.layer, part.path.name, list(part.sheets))
        self._parts.remove(part)
        self._drawn.append(part.path)
