"""A finished picture as other kinds of object."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures.images import Picture
from nstbatch.runtime.pictures.made_picture import MadePicture

IMAGE = np.random.default_rng(0).random((5, 7, 3), np.float32)
ALPHA = np.random.default_rng(1).random((5, 7), np.float32)


def made(*, alpha: bool = False) -> MadePicture:
    picture = MadePicture()
    picture.image, picture.alpha = IMAGE, ALPHA if alpha else None
    return picture


@pytest.mark.parametrize(
    ("kind", "white"),
    [(np.uint8, 255), (np.uint16, 65535), (np.float16, 1), (np.float32, 1), (np.float64, 1)],
)
def test_an_array_has_the_given_type_of_numbers(kind: type, white: int) -> None:
    found = made().like(np.zeros((2, 2), kind))
    assert found.dtype == kind
    np.testing.assert_allclose(found / float(white), IMAGE, atol=max(0.51 / white, 1e-3) % 1)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32, torch.float16, torch.bfloat16])
def test_a_tensor_stays_a_tensor(kind: torch.dtype) -> None:
    found = made(alpha=True).like(torch.zeros(1, dtype=kind))
    assert isinstance(found, torch.Tensor)
    assert (found.dtype, found.device.type, found.shape) == (kind, "cpu", (5, 7, 4))
    values = found.to(torch.float64) / (255 if kind == torch.uint8 else 1)
    np.testing.assert_allclose(values[..., 3], ALPHA, atol=4e-3)


@pytest.mark.parametrize(("alpha", "mode"), [(False, "RGB"), (True, "RGBA")])
def test_a_pil_image_has_the_alpha_if_there_is_one(alpha: bool, mode: str) -> None:
    found = made(alpha=alpha).like(Image.new("L", (1, 1)))
    assert (found.mode, found.size) == (mode, (7, 5))
    np.testing.assert_allclose(np.asarray(found)[..., :3] / 255, IMAGE, atol=0.51 / 255)


def test_a_picture_stays_a_picture() -> None:
    found = made(alpha=True).like(Picture(np.zeros((1, 1, 3), np.float32)))
    assert found.pixels is IMAGE
    assert found.alpha is ALPHA


@pytest.mark.parametrize("given", ["photo.jpg", io.BytesIO(), 3])
def test_a_file_is_no_kind_of_picture(given: object) -> None:
    with pytest.raises(ImageError, match=r"nstbatch\.write"):
        made().like(given)


def test_an_array_of_an_unknown_library() -> None:
    class Odd(np.lib.mixins.NDArrayOperatorsMixin):
        dtype, device = np.dtype(np.float32), "cpu"

        def __array__(self) -> np.ndarray:
            return IMAGE

    with pytest.raises(ImageError, match="has no asarray"):
        made().like(Odd())


def test_notebooks_show_a_png() -> None:
    shown = Image.open(io.BytesIO(made(alpha=True)._repr_png_()))
    assert (shown.format, shown.mode, shown.size) == ("PNG", "RGBA", (7, 5))
