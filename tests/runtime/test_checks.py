"""Options of every kind: their types and ranges, and what is said of other values."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from nstbatch.runtime.checks import options_or_default
from nstbatch.runtime.deconvnet.deconvnet_options import DeconvnetOptions, FilterChoice
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.formats.picture_options import PictureOptions
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.dream_options import ClassPictureOptions, DreamOptions, ZoomOptions
from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions
from nstbatch.runtime.systems.texture_options import TextureOptions

KINDS: tuple[Any, ...] = (
    *(StyleTransferOptions, NearestNeighborOptions, TextureOptions),
    *(DreamOptions, ClassPictureOptions, ZoomOptions),
    *(ReconstructionOptions, DeconvnetOptions, FilterChoice, PictureOptions),
)
ALL = [(kind, field.name, field.type) for kind in KINDS for field in fields(kind)]
WHOLE = [(kind, name) for kind, name, of in ALL if of.removesuffix(" | None") == "int"]
SHARES = {"smallest_crop", "largest_crop", "stylization", "init_noise"}
FLOATS = [(kind, name) for kind, name, of in ALL if of.removesuffix(" | None") == "float"]
NUMBERS = [(kind, name) for kind, name in FLOATS if name not in {*SHARES, "average_decay"}]
OPTIONAL = {(kind, name) for kind, name, of in ALL if of.endswith("| None")}


@pytest.mark.parametrize(("kind", "name"), WHOLE)
def test_whole_numbers(kind: Any, name: str) -> None:
    for value in ("64", 64.5, 64.0, {"a": 64}, [64], True, float("nan"), -1, object()):
        with pytest.raises(UsageError, match=f"The {name} must be a whole number .*, not "):
            kind(**{name: value})
    for value in (64, np.int64(64), np.uint8(64)):
        assert getattr(kind(**{name: value}), name) == 64


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
def test_numbers(kind: Any, name: str) -> None:
    for value in ("2.5", {"a": 1}, [2.5], True, 1j, float("nan"), float("inf"), -1):
        with pytest.raises(UsageError, match=f"The {name} must be a number .*, not "):
            kind(**{name: value})
    for value in (2.5, 3, np.float32(2.5), np.int64(3)):
        assert getattr(kind(**{name: value}), name) == value


def test_a_decay_is_below_one() -> None:
    for kind in (StyleTransferOptions, NearestNeighborOptions):
        assert kind(average_decay=0.99).average_decay == 0.99
        for value in (1, -0.1, "0.5"):
            with pytest.raises(UsageError, match="The average_decay must be a number from 0 to 0"):
                kind(average_decay=value)


@pytest.mark.parametrize(("kind", "name"), [each for each in FLOATS if each[1] in SHARES])
def test_shares(kind: Any, name: str) -> None:
    for value in ("0.5", [0.5], True, 1j, float("nan"), float("inf"), -0.1, 1.1):
        with pytest.raises(UsageError, match=f"The {name} must be a number from .* to 1, not "):
            kind(**{name: value})
    for value in (0.5, 1, np.float32(0.75)):
        whole = {"largest_crop": 1.0} if name == "smallest_crop" else {"smallest_crop": 0.1}
        others = whole if name.endswith("crop") else {}
        assert getattr(kind(**{**others, name: value}), name) == value


@pytest.mark.parametrize(("kind", "name", "of"), ALL)
def test_no_option_takes_something_else(kind: Any, name: str, of: str) -> None:
    for value in (object(), 1.5j, b"bytes", {1: 2}):
        with pytest.raises(UsageError, match=name.removesuffix("s")):
            kind(**{name: value})
    if (kind, name) not in OPTIONAL:
        with pytest.raises(UsageError, match=f"{name} must be .*, not None"):
            kind(**{name: None})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (StyleTransferOptions, "content_layers"),
        (ReconstructionOptions, "layers"),
        (ReconstructionOptions, "tv_weights"),
    ],
)
def test_one_text_is_not_read_letter_by_letter(kind: Any, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} must be a tuple of .*, not 'relu4_2'"):
        kind(**{name: "relu4_2"})


def test_the_one_text_that_stands_for_channels_is_said():
    with pytest.raises(UsageError, match="or strongest or strongest:N, not 'relu4_2'"):
        DreamOptions(channels="relu4_2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_layers": ["relu1_1"]}, "style_layers must be a mapping from layer names"),
        ({"style_layers": {"relu1_1": "1"}}, "weight of relu1_1 must be a number"),
        ({"style_layers": {1: 1.0}}, "layer in style_layers must be a str, not 1"),
        ({"content_layers": (4,)}, "layer in content_layers must be a str, not 4"),
        ({"optimizer": 3}, "optimizer must be one of adam, lbfgs, not 3"),
    ],
)
def test_layers_and_choices(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        StyleTransferOptions(**options)


@pytest.mark.parametrize(
    "kind", [StyleTransferOptions, DreamOptions, ReconstructionOptions, TextureOptions]
)
@pytest.mark.parametrize("size", ["64", "Own", 64.5, 0, True, None, {"size": 64}])
def test_sizes(kind: Any, size: Any) -> None:
    names = ("width", "height") if kind is TextureOptions else ("size",)
    with pytest.raises(UsageError, match=r"must be a whole number of at least 1 or 'own', not"):
        kind(**dict.fromkeys(names, size))
    assert kind(**dict.fromkeys(names, "own"), max_size=np.int64(64)).max_size == 64
    if size is not None:
        with pytest.raises(UsageError, match="max_size must be a whole number of at least 1"):
            kind(max_size=size)


def test_a_texture_has_both_sides_of_its_exemplar_or_neither() -> None:
    with pytest.raises(UsageError, match="or both as 'own', not 'own' and 512"):
        TextureOptions(width="own")


def test_flags_are_no_words() -> None:
    with pytest.raises(UsageError, match="tileable must be True or False, not 'no'"):
        TextureOptions(tileable="no")  # type: ignore[arg-type]
    assert TextureOptions(tileable=np.bool_(True)).tileable  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"size": 64}, DreamOptions(), 3])
def test_options_of_another_kind(given: Any) -> None:
    with pytest.raises(UsageError, match=r"options must be TextureOptions\(\.\.\.\) or None, not"):
        options_or_default(given, TextureOptions)
    assert options_or_default(None, TextureOptions) == TextureOptions()
