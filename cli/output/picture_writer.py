"""How a picture is written, with the recipe in it: the command that makes it again."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import nstbatch
from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.jobs.parameters import NO_DEFAULTS, Scope, Setting, command_words
from nstbatch.cli.jobs.weighted import weighted_path
from nstbatch.cli.text import printable
from nstbatch.runtime.devices.devices import installed_versions
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.formats.picture_options import PictureOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nstbatch.cli.jobs.painting import Painting
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.bundles.bundle import Bundle
    from nstbatch.runtime.formats.metadata import Metadata

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PictureFile:
    """The content and the date of a picture's file."""

    data: bytes
    modified_ns: int | None
    """Its modification time, in nanoseconds since 1970; None for now."""


class PictureWriter:
    """Makes the files of a batch's pictures, with the metadata of their photos and the recipe."""

    def __init__(
        self,
        options: PictureOptions | None = None,
        run: Invocation | None = None,
        networks: Sequence[Bundle] = (),
    ) -> None:
        """Hash now what all pictures have in common: files and networks may change later.

        Args:
            options: How pictures are written.
            run: How the batch was called; None, or no verb, for pictures without a recipe.
            networks: The networks that pictures are made with.
        """
        self._options = options or PictureOptions()
        self._run = run if run and run.verb and self._options.keep != "nothing" else None
        self._files = _hashes(_values(self._run)) if self._run else {}
        self._networks = [_network(each) for each in networks] if self._run else []

    def encode(self, job: Job, painting: Painting) -> PictureFile:
        """A picture's file, before it has a name.

        Raises:
            ImageError: Its format cannot hold it.
        """
        from nstbatch.runtime.pictures import images

        if painting.encoded is not None:
            return PictureFile(painting.encoded, painting.modified_ns)
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

    def encode_snapshot(self, job: Job, image: NDArray[np.float32]) -> bytes:
        """The file of a picture (H, W, 3) on the way to a job's, without metadata and recipe.

        Raises:
            ImageError: The format cannot hold it.
        """
        from nstbatch.runtime.formats.metadata import Metadata
        from nstbatch.runtime.pictures import images

        return images.encode(
            job.output.suffix,
            image,
            metadata=Metadata(profiled=self._options.keep != "nothing"),
            quality=self._options.quality,
        )

    def _metadata(self, job: Job) -> Metadata:
        """Metadata of the photo; if the photo is gone by now, the painting is not lost for it."""
        from nstbatch.runtime.formats.metadata import Metadata, read_metadata

        nothing = Metadata(profiled=self._options.keep != "nothing")
        if job.photo is None:
            return nothing
        try:
            return read_metadata(job.photo, self._options.keep)
        except ImageError as error:
            log.warning("No metadata is kept from %s: %s", printable(job.input), error)
            return nothing

    def _recipe(self, run: Invocation, job: Job, painting: Painting) -> str:
        """Return JSON in ASCII. Nothing in it depends on the day or the run."""
        used = {"device": painting.provider, "precision": painting.precision}
        of_job = {**job.settings, **painting.settings}
        if job.photo is not None and run.inputs is not None:
            of_job[run.inputs] = [os.fspath(job.input)]
        # Not what was typed: the recipe has all values that it needs.
        settings = {**run.within(Scope.MAKING), NO_DEFAULTS: True, **used, **of_job}
        settings = {
            name: without_home(value)
            for name, value in settings.items()
            if name in run.values or name in of_job
        }
        if "variations" in settings:  # no more than it takes to make this one
            settings["variations"] = job.variation + 1
        recipe = {
            "nstbatch": nstbatch.__version__,
            "command": command_words(run.verb, run.parameters, settings),
            "verb": run.verb,
            "settings": settings,
            "variation": job.variation,
            "sha256": _hash_of_photo(job) | self._files_in(settings),
            "bundle": self._networks[0] if len(self._networks) == 1 else self._networks or None,
            "versions": {"nstbatch": nstbatch.__version__, **installed_versions()},
            "provider": painting.provider,
            "precision": painting.precision,
        }
        return json.dumps(recipe, allow_nan=False)

    def _files_in(self, settings: Mapping[str, Setting]) -> dict[str, str]:
        """Return the hashes of the files that a picture's settings name."""
        named = {
            os.fspath(weighted_path(each)[0])
            for value in settings.values()
            for each in (value if isinstance(value, list) else [value])
            if isinstance(each, str)
        }
        return {name: sha256 for name, sha256 in self._files.items() if name in named}


def _values(run: Invocation) -> Iterator[Setting]:
    """Yield the values of a run except its inputs: those are hashed one by one."""
    for name, value in run.within(Scope.MAKING).items():
        if name != run.inputs:
            yield from value if isinstance(value, list) else [value]


def _hash_of_photo(job: Job) -> dict[str, str]:
    """Return the SHA-256 of a job's photo by its name, if it has one that is still there."""
    found = [] if job.photo is None else _hashes([os.fspath(job.photo)]).values()
    return {str(without_home(os.fspath(job.input))): sha256 for sha256 in found}


def _hashes(values: Iterable[Setting]) -> dict[str, str]:
    """Return the SHA-256 of every value that is the name of a file, by that name."""
    from nstbatch.runtime.bundles.bundle import sha256_of

    # os.path, because Path raises an OSError for a list of layers that is too long to be a name.
    named = [os.fspath(weighted_path(value)[0]) for value in values if isinstance(value, str)]
    names = [name for name in named if os.path.isfile(name)]  # noqa: PTH113
    return {str(without_home(name)): sha256_of(Path(name)) for name in names}


def _network(bundle: Bundle) -> dict[str, str]:
    """Name and hash of a network: its manifest holds the hashes of all its files."""
    from nstbatch.runtime.bundles.bundle import MANIFEST, sha256_of

    return {"name": bundle.name, "sha256": sha256_of(bundle.path / MANIFEST)}


def without_home(value: Setting) -> Setting:
    """Replace the user's home folder by ``~``: pictures are shown to others."""
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
    """Replace ``~`` by the home folder of the current user."""
    if isinstance(value, list):
        return [with_home(element) for element in value]
    try:
        is_below = isinstance(value, str) and value.startswith("~/")
        return str(Path(str(value)).expanduser()) if is_below else value
    except RuntimeError:
        return value
