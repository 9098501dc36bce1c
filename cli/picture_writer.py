"""How a picture is written, and the recipe in it: what would make it again."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import nstbatch
from nstbatch.runtime.picture_options import PictureOptions

from .parameters import INPUTS, Invocation, Setting, command_words
from .text import printable

if TYPE_CHECKING:
    from nstbatch.runtime.metadata import Metadata

    from .batch import Painting
    from .plan import Job


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PictureWriter:
    """Writes the pictures of a batch, with what they take over from their photos.

    Attributes:
        options: How they are written.
        run: What the batch was told; None for pictures without a recipe.
    """

    options: PictureOptions = field(default_factory=PictureOptions)
    run: Invocation | None = None
    _hashes: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, job: Job, painting: Painting) -> None:
        """Write a picture.

        Raises:
            ImageError: It cannot be written.
        """
        from nstbatch.runtime import images

        metadata = self._metadata(job.input)
        if self.run is not None and self.options.keep != "nothing":
            metadata = replace(metadata, recipe=self._recipe(self.run, job, painting))
        images.write(
            job.output,
            painting.image,
            painting.alpha,
            metadata=metadata,
            quality=self.options.quality,
        )

    def _metadata(self, photo: Path) -> Metadata:
        """What is taken over; hours of painting are not lost for a photo that is gone by then."""
        from nstbatch.runtime.errors import ImageError
        from nstbatch.runtime.metadata import Metadata, read_metadata

        try:
            return read_metadata(photo, self.options.keep)
        except ImageError as error:
            log.warning("Nothing is taken over from %s: %s", printable(photo), error)
            return Metadata(profiled=self.options.keep != "nothing")

    def _recipe(self, run: Invocation, job: Job, painting: Painting) -> str:
        """JSON in ASCII, the same for the same picture: nothing in it is of the day or the run."""
        import onnxruntime

        settings = run.shaping | {INPUTS: [str(job.input)]}
        used = {"device": painting.provider, "precision": painting.precision}
        settings |= {name: value for name, value in used.items() if name in settings}
        shown = {name: _without_home(value) for name, value in settings.items()}
        recipe = {
            "nstbatch": nstbatch.__version__,
            "command": command_words(run.verb, run.parameters, shown),
            "verb": run.verb,
            "settings": shown,
            "variation": job.variation,
            "sha256": self._files(settings),
            "bundle": self._bundle(settings),
            "versions": {
                "nstbatch": nstbatch.__version__,
                "onnxruntime": onnxruntime.__version__,
            },
            "provider": painting.provider,
            "precision": painting.precision,
        }
        return json.dumps(recipe, allow_nan=False)

    def _files(self, settings: Mapping[str, Setting]) -> dict[str, str]:
        """SHA-256 of every file that a setting names."""
        values = (
            v
            for value in settings.values()
            for v in (value if isinstance(value, list) else [value])
        )
        names = [value for value in values if isinstance(value, str) and Path(value).is_file()]
        return {str(_without_home(name)): self._hash(Path(name)) for name in dict.fromkeys(names)}

    def _bundle(self, settings: Mapping[str, Setting]) -> dict[str, str] | None:
        """The network: the manifest's hash stands for all files, whose hashes are in it."""
        from nstbatch.runtime.bundle import MANIFEST, Bundle

        if not isinstance(model := settings.get("model"), str):
            return None
        bundle = Bundle.load(model)
        return {"name": bundle.name, "sha256": self._hash(bundle.path / MANIFEST)}

    def _hash(self, path: Path) -> str:
        from nstbatch.runtime.bundle import sha256_of

        key = str(path)
        if key not in self._hashes:
            self._hashes[key] = sha256_of(path)
        return self._hashes[key]


def _without_home(value: Setting) -> Setting:
    """A path below the user's folder with ``~`` for it: pictures are shown to others."""
    if isinstance(value, list):
        return [_without_home(element) for element in value]
    home = Path.home()
    if isinstance(value, str) and len(home.parts) > 1 and Path(value).is_relative_to(home):
        return (Path("~") / Path(value).relative_to(home)).as_posix()
    return value


def with_home(value: Setting) -> Setting:
    """The same value for the user who is here."""
    if isinstance(value, list):
        return [with_home(element) for element in value]
    return str(Path(value).expanduser()) if isinstance(value, str) and value[:2] == "~/" else value
