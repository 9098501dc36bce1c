"""``nstbatch deconv --compare``: two networks on the same images, on one sheet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nstbatch.cli.jobs.painting import Status, Stop
from nstbatch.cli.output.survey import Standing
from nstbatch.runtime.deconvnet.comparison import NetworkStatistics, comparison_sheet, measure
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet
from nstbatch.runtime.deconvnet.first_layer import first_layer
from nstbatch.runtime.deconvnet.maxima_file import fingerprint
from nstbatch.runtime.errors import UsageError

from .outcomes import SheetOutcome, SheetReporter, planned_sheet
from .sheet_file import OneSheet

SHEET = "compare.png"


@dataclass(frozen=True)
class Comparison:
    """Two networks, and what they are to be compared on."""

    networks: tuple[Deconvnet, Deconvnet]
    images: Sequence[Path]
    layers: Sequence[str]
    """None for the first ReLU of each, one of the same name, or one for each."""
    out: Path
    overwrite: bool

    @property
    def _layer_of_each(self) -> tuple[str | None, str | None]:
        match list(self.layers):
            case []:
                return None, None
            case [both]:
                return both, both
            case [first, second]:
                return first, second
            case _:
                raise UsageError("--compare looks at one --layer of each network, not at more.")

    @property
    def _sheet(self) -> OneSheet:
        bundles = [network.engine.bundle for network in self.networks]
        size = self.networks[0].options.size
        key = fingerprint(self.images, bundles, ["compare", size, *self._layer_of_each])
        return OneSheet(self.out / SHEET, key)

    def check(self) -> None:
        """Raise a UsageError for what is wrong with all images."""
        for network, layer in zip(self.networks, self._layer_of_each, strict=True):
            network.check([layer or first_layer(network.engine.bundle).layer])

    def planned(self) -> Iterator[SheetOutcome]:
        """What a dry run shows."""
        yield planned_sheet(self.out / SHEET, self.overwrite)

    def draw(self, reporter: SheetReporter, stop: Stop) -> None:
        """Pass over the images with both networks, and draw the sheet.

        Raises:
            UsageError: The folder holds a sheet of other images or settings.
            ImageError: No image can be read.
            KeyboardInterrupt: ``stop`` said so.
        """
        start, sheet = time.perf_counter(), self._sheet
        if sheet.is_finished(self.overwrite):
            numbers = _details(sheet.numbers()["networks"])
            reporter.finished(
                SheetOutcome(
                    Status.SKIPPED, sheet.path, reason=Standing.DONE.value, details=numbers
                )
            )
            return
        unreadable: dict[Path, str] = {}
        found: list[NetworkStatistics] = []
        for network, layer in zip(self.networks, self._layer_of_each, strict=True):
            with reporter.passing(len(self.images)) as progress:
                found.append(measure(network, layer, self.images, unreadable, progress, stop))
        reporter.left_out(unreadable)
        records = [network.record() for network in found]
        sheet.write(comparison_sheet(found), {"networks": records})
        provider = self.networks[0].engine.provider
        reporter.finished(
            SheetOutcome(
                Status.DONE,
                sheet.path,
                seconds=time.perf_counter() - start,
                provider=provider.device,
                precision="fp32",
                details=_details(records),
            )
        )


def _details(records: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The numbers of each network, without the histograms: a line is to stay a line."""
    brief = [{n: value for n, value in r.items() if n != "histogram"} for r in records]
    return {"networks": brief}
