"""How a picture is written, and the recipe in it: what would make it again."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import nstbatch
from nstbatch.cli.options.invocation import Invocation
from nstbatch.cli.options.parameters import Setting, command_words
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures.picture_options import PictureOptions

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painting
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.pictures.metadata import Metadata

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PictureFile:
    """All that a picture's file is to be."""

    data: bytes
    modified_ns: int | None
    """When it shall have been modified, in nanoseconds since 1970; None for now."""


class PictureWriter:
    """Makes the files of the pictures of a batch, with what they take over from their photos."""

    def __init__(
        self, options: PictureOptions | None = None, run: Invocation | None = None
    ) -> None:
        """Look now at what all pictures have in common: files and networks may change later.

        Args:
            options: How pictures are written.
            run: How the batch was called; None, or no verb, for pictures without a recipe.

        Raises:
            UsageError: There is no such network.
            BundleError: It is damaged.
        """
        self._options = options or PictureOptions()
        self._run = run if run and run.verb and self._options.keep != "nothing" else None
        self._files = _hashes(_values(self._run)) if self._run else {}
        self._bundle = _bundle(self._run) if self._run else None

    def encode(self, job: Job, painting: Painting) -> PictureFile:
        """A picture's file, before it has a name.

        Raises:
            ImageError: Its format cannot hold it.
        """
        from nstbatch.runtime.pictures import images

        if painting.encoded is not None:
            return PictureFile(painting.encoded, None)
        metadata = self._metadata(job)
        if self._run is not None:
            metadata = replace(metadata, recipe=self._recipe(self._run, job, painting))
        data = images.encode(
            job.output.suffix,
            painting.image,
            painting.alpha,
            metadata=metadata,
            quality=self._options.quality,
        )
        return PictureFile(data, metadata.modified_ns)

    def _metadata(self, job: Job) -> Metadata:
        """What is taken over; hours of painting are not lost for a photo that is gone by then."""
        from nstbatch.runtime.pictures.metadata import Metadata, read_metadata

        nothing = Metadata(profiled=self._options.keep != "nothing")
        if not job.of_file:
            return nothing
        try:
            return read_metadata(job.input, self._options.keep)
        except ImageError as error:
            log.warning("Nothing is taken over from %s: %s", printable(job.input), error)
            return nothing

    def _recipe(self, run: Invocation, job: Job, painting: Painting) -> str:
        """JSON in ASCII, the same for the same picture: nothing in it is of the day or the run."""
        import onnxruntime

        photo = os.fspath(job.input)
        used = {"device": painting.provider, "precision": painting.precision}
        settings = {name: used.get(name, value) for name, value in run.shaping.items()}
        settings = {name: without_home(value) for name, value in settings.items()}
        if run.inputs is not None:
            settings[run.inputs] = [without_home(photo)] if job.of_file else []
        if not job.of_file:  # a class among others
            settings["class"] = [photo]
        if "variations" in settings:  # no more than it takes to make this one
            settings["variations"] = job.variation + 1
        recipe = {
            "nstbatch": nstbatch.__version__,
            "command": command_words(run.verb, run.parameters, settings),
            "verb": run.verb,
            "settings": settings,
            "variation": job.variation,
            "sha256": _hashes([photo]) | self._files,
            "bundle": self._bundle,
            "versions": {
                "nstbatch": nstbatch.__version__,
                "onnxruntime": onnxruntime.__version__,
            },
            "provider": painting.provider,
            "precision": painting.precision,
        }
        return json.dumps(recipe, allow_nan=False)


def _values(run: Invocation) -> Iterator[Setting]:
    """The values of a run but for its inputs, which are looked at one by one."""
    for name, value in run.shaping.items():
        if name != run.inputs:
            yield from value if isinstance(value, list) else [value]


def _hashes(values: Iterable[Setting]) -> dict[str, str]:
    """SHA-256 of every value that is the name of a file, by that name."""
    from nstbatch.runtime.bundles.bundle import sha256_of

    names = [value for value in values if isinstance(value, str) and Path(value).is_file()]
    return {str(without_home(name)): sha256_of(Path(name)) for name in names}


def _bundle(run: Invocation) -> dict[str, str] | None:
    """The network: the manifest's hash stands for all files, whose hashes are in it."""
    from nstbatch.runtime.bundles.bundle import MANIFEST, Bundle, sha256_of

    model = run.settings.get("model")
    if not isinstance(model, str):
        return None
    bundle = Bundle.load(model)
    return {"name": bundle.name, "sha256": sha256_of(bundle.path / MANIFEST)}


def without_home(value: Setting) -> Setting:
    """A path below the user's folder with ``~`` for it: pictures are shown to others."""
    if isinstance(value, list):
        return [without_home(element) for element in value]
    try:
        home = Path.home()
    except RuntimeError:  # nobody's
        return value
    if isinstance(value, str) and len(home.parts) > 1 and Path(value).is_relative_to(home):
        return (Path("~") / Path(value).relative_to(home)).as_posix()
    return value


def with_home(value: Setting) -> Setting:
    """The same value for the user who is here."""
    if isinstance(value, list):
        return [with_home(element) for element in value]
    try:
        is_below = isinstance(value, str) and value.startswith("~/")
        return str(Path(str(value)).expanduser()) if is_below else value
    except RuntimeError:
        return value
