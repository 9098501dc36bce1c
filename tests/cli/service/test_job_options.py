"""The options of a job mean the same as those of ``nstbatch stylize``."""

from __future__ import annotations

from dataclasses import replace

import pytest

import nstbatch
from nstbatch.cli.service.job_options import job_options, offered
from nstbatch.runtime.errors import UsageError

from .conftest import LIMITS

WIDE = replace(LIMITS, side=4096)


def test_without_any_they_are_the_defaults() -> None:
    read = job_options({}, WIDE)
    assert read.painting == nstbatch.StyleTransferOptions()
    assert read.pictures == nstbatch.PictureOptions()
    assert read.trims_style


def test_a_preset_and_what_wins_over_it() -> None:
    for given in ({"preset": ["fast"], "seed": ["7"]}, {"seed": ["7"], "preset": ["fast"]}):
        assert job_options(given, WIDE).painting == nstbatch.StyleTransferOptions.preset(
            "fast", seed=7
        )


def test_lists_switches_and_files() -> None:
    given = {
        "style_layers": ["relu1_1=2", "relu2_1"],
        "histogram": ["true"],
        "strip": ["false"],
        "trim-style": ["off"],
        "format": ["webp"],
        "quality": ["80"],
    }
    read = job_options(given, WIDE)
    assert read.painting.style_layers == {"relu1_1": 2.0, "relu2_1": 1.0}
    assert read.painting.histogram
    assert read.pictures == nstbatch.PictureOptions(format="webp", quality=80)
    assert not read.trims_style


def test_a_size_of_its_own_needs_a_bound() -> None:
    assert job_options({"max_size": ["4096"]}, WIDE).painting.size == "own"
    with pytest.raises(UsageError, match="allows 4096"):
        job_options({"size": ["own"], "max_size": ["4097"]}, WIDE)


@pytest.mark.parametrize("name", ["seed", "preset", "size"])
def test_an_option_given_twice_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="twice"):
        job_options({name: ["1", "2"]}, WIDE)


def test_no_option_names_a_file_of_the_server() -> None:
    """An option that takes a path would let a client read it; ``init`` is checked by its value."""
    paths = {name for name, each in offered().items() if each.is_path or each.may_be_path}
    assert paths <= {"init"}
    with pytest.raises(UsageError, match="init must be one of"):
        job_options({"init": ["image"]}, WIDE)
