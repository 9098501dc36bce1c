"""``nstbatch deconv --compare``: two networks on the same images, on one sheet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.cli.jobs.painting import Painting, Stop
from nstbatch.cli.jobs.plan import Job, Source
from nstbatch.cli.text import count
from nstbatch.runtime.deconvnet.comparison import NetworkStatistics, comparison_sheet, measure
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet
from nstbatch.runtime.deconvnet.first_layer import first_layer
from nstbatch.runtime.deconvnet.maxima_file import fingerprint
from nstbatch.runtime.errors import UsageError

from .sheet_kind import Say, of_images

if TYPE_CHECKING:
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.engine.engine import Engine

FORMAT = 1


@dataclass
class Comparison:
    """Two networks, and the images to compare them on."""

    networks: tuple[Deconvnet, Deconvnet]
    images: Sequence[Path]
    layers: Sequence[str]
    """One layer of both networks, or one of each; empty for the first ReLU of each."""
    output: Path
    say: Say
    unreadable: dict[Path, str] = field(default_factory=dict)

    @property
    def engines(self) -> list[Engine]:
        """Both networks."""
        return [network.engine for network in self.networks]

    @property
    def effort(self) -> None:
        """Nothing is known."""

    def check(self) -> None:
        """Raise a UsageError for a fault of all images."""
        for network, layer in zip(self.networks, self._layer_of_each, strict=True):
            network.check([layer or first_layer(network.engine.bundle).layer])

    def search(self, progress: Callable[[int], None], stop: Stop) -> None:
        """Do nothing: there is one sheet, whatever is in the images."""

    def jobs(self) -> list[Job]:
        """Return the one sheet, with the numbers of an earlier run if there was one."""
        names = " and ".join(engine.bundle.name for engine in self.engines)
        there = _read(self.output.with_suffix(".json"))
        digest = self._fingerprint()
        details = _brief(there["networks"]) if there.get("fingerprint") == digest else {}
        return [Job(Path(names), self.output, source=Source.IMAGES, digest=digest, details=details)]

    def paint(self, job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        """Pass over the images with both networks, and draw the sheet.

        Raises:
            ImageError: No image can be read.
            KeyboardInterrupt: ``stop`` said so.
        """
        found: list[NetworkStatistics] = []
        for network, layer in zip(self.networks, self._layer_of_each, strict=True):
            name, images, size = network.engine.bundle.name, len(self.images), network.options.size
            self.say(f"passing over {count(images, 'image')} with {name}")
            report = of_images(progress, name, images, size)
            found.append(measure(network, layer, self.images, self.unreadable, report, stop))
        records = [network.record() for network in found]
        numbers = {"format": FORMAT, "fingerprint": job.digest, "networks": records}
        text = json.dumps(numbers, indent=1, allow_nan=False)
        return Painting(
            comparison_sheet(found),
            None,
            {},
            0,
            self.engines[0].provider.device,
            "fp32",
            companions={".json": f"{text}\n".encode()},
            details=_brief(records),
        )

    def finish(self, stop: Stop) -> list[Path]:
        """Return no further files."""
        return []

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

    def _fingerprint(self) -> str:
        bundles = [engine.bundle for engine in self.engines]
        size = self.networks[0].options.size
        return fingerprint(self.images, bundles, ["compare", size, *self._layer_of_each])


def _read(path: Path) -> dict[str, Any]:
    """Return the numbers beside a sheet; none if the file is missing or damaged."""
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return numbers if isinstance(numbers, dict) and "networks" in numbers else {}


def _brief(records: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the numbers of each network without its histogram, which is too long for a line."""
    brief = [{n: value for n, value in r.items() if n != "histogram"} for r in records]
    return {"networks": brief}
