"""The options of a job: the fields of a form, read as ``nstbatch stylize`` reads its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import typer
from typer.main import get_command

from nstbatch.cli.jobs.parameters import Parameter
from nstbatch.cli.options.stylize import Stylizing
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.parsing.parameters import parameters
from nstbatch.cli.parsing.with_groups import with_groups
from nstbatch.runtime.checks import OWN
from nstbatch.runtime.errors import UnknownNameError, UsageError
from nstbatch.runtime.formats.picture_options import PictureOptions
from nstbatch.runtime.style.shared_style_options import INITS
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions

from .limits import Limits

# These name files of this machine, or belong to a whole batch.
NOT_OFFERED = frozenset(
    {
        *("mask", "style_mask", "content_mask", "each_style", "preset_table"),
        *("method", "stylization"),
        *("name", "max_pixels", "preserve"),
    }
)


@dataclass(frozen=True)
class JobOptions:
    """The options of a job, as the library takes them.

    Attributes:
        painting: The options of its style transfer.
        pictures: How its result is written.
        trims_style: True to cut a plain frame off the style.
    """

    painting: StyleTransferOptions
    pictures: PictureOptions
    trims_style: bool


@cache
def offered() -> dict[str, Parameter]:
    """Return the options that a job may have, by their names with underscores."""
    known = parameters(_command())
    return {each.name: each for each in known if each.key not in NOT_OFFERED}


def job_options(given: Mapping[str, Sequence[str]], limits: Limits) -> JobOptions:
    """Read the options of a job.

    Args:
        given: Their values as a form has them, by their names with underscores or dashes.
        limits: The limits of the service.

    Raises:
        UsageError: An option is unknown, wrong or beyond the limits.
    """
    stylizing, writing = _read(list(_words(given)))
    if stylizing.init_path is not None:
        raise UsageError(f"The init must be one of {', '.join(sorted({*INITS} - {'image'}))}.")
    options = stylizing.options
    _check_limits(options, limits)
    return JobOptions(options, writing.pictures, stylizing.trims_style)


def _words(given: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the words that a command line with these options would have."""
    for field, values in given.items():
        name = field.replace("-", "_")
        if name not in offered():
            raise UnknownNameError("option", field, offered())
        option = offered()[name]
        if len(values) > 1 and not option.is_list:
            raise UsageError(f"The option {field!r} is there twice.")
        for value in values:
            if not option.is_flag:
                yield f"{option.option}={value}"
            elif value not in ("true", "false"):
                raise UsageError(f"The option {field!r} must be true or false, not {value!r}.")
            elif value == "true":
                yield str(option.option)


def _read(words: list[str]) -> tuple[Stylizing, PhotoWriting]:
    try:
        with _command().make_context("job", words) as context:
            values = context.params
            return (
                Stylizing(**{each.name: values[each.name] for each in fields(Stylizing)}),
                PhotoWriting(**{each.name: values[each.name] for each in fields(PhotoWriting)}),
            )
    except typer.BadParameter as error:
        name = error.param.name if error.param else "form"
        raise UsageError(f"The option {name!r} is wrong: {error.message}") from error


def _check_limits(options: StyleTransferOptions, limits: Limits) -> None:
    side = options.max_size if options.size == OWN else options.size
    if side is None:
        raise UsageError(f"With size={OWN}, give max_size too: at most {limits.side}.")
    style = options.style_size or round(int(side) * options.style_scale)
    for name, value, most in (
        ("size", side, limits.side),
        ("size of the style", style, limits.side),
        ("number of iterations", options.iterations, limits.steps),
    ):
        if int(value) > most:
            raise UsageError(f"The {name} is {value}; this service allows {most}.")


@cache
def _command() -> Any:
    """Make the command whose options a job has; it is never run."""

    @with_groups
    def job(stylizing: Stylizing = Stylizing(), writing: PhotoWriting = PhotoWriting()) -> None:
        """Paint a photo in a style."""

    app = typer.Typer(add_completion=False)
    app.command()(job)
    return get_command(app)
