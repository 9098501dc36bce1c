from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures import images
from nstbatch.runtime.pictures.contact_sheet import (
    EMPTY_COLUMN,
    GAP,
    MARGIN,
    LabelledPicture,
    contact_sheet,
    elided,
    text_width,
    wrapped,
)

RED = np.array([1, 0, 0], np.float32)
SIZE = 60


def plain(height: int, width: int, colour: NDArray[np.float32] = RED) -> NDArray[np.float32]:
    return np.broadcast_to(colour, (height, width, 3)).astype(np.float32)


def noise(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


def boxes(sheet: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the red area."""
    rows, columns = np.nonzero((sheet == RED).all(axis=2))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def ink(sheet: NDArray[np.float32]) -> int:
    """Number of pixels that letters have darkened."""
    return int((sheet.max(axis=2) < 0.5).sum())


def test_a_picture_of_the_cells_size_is_shown_as_it_is() -> None:
    picture = noise(SIZE, SIZE)
    sheet = contact_sheet([[LabelledPicture(picture)]], cell_size=SIZE)
    assert sheet.dtype == np.float32
    np.testing.assert_array_equal(sheet[MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE], picture)


@pytest.mark.parametrize(
    ("shape", "shown"),
    [((120, 60), (60, 30)), ((30, 90), (20, 60)), ((11, 7), (55, 35)), ((40, 31), (40, 31))],
)
def test_pictures_are_fitted(shape: tuple[int, int], shown: tuple[int, int]) -> None:
    sheet = contact_sheet([[LabelledPicture(plain(*shape))]], cell_size=SIZE)
    top, bottom, left, right = boxes(sheet)
    assert (bottom - top, right - left) == shown


def test_a_small_picture_keeps_its_pixels() -> None:
    picture = noise(3, 5)
    sheet = contact_sheet([[LabelledPicture(picture)]], cell_size=SIZE)
    shown = sheet[MARGIN : MARGIN + 36, MARGIN : MARGIN + 60]
    np.testing.assert_array_equal(shown, picture.repeat(12, 0).repeat(12, 1))


def test_rows_and_columns_do_not_touch() -> None:
    cell = LabelledPicture(plain(SIZE, SIZE))
    sheet = contact_sheet([[cell, cell], [cell, cell]], cell_size=SIZE)
    red = (sheet == RED).all(axis=2)
    for axis in (0, 1):
        line = red.any(axis=axis)
        assert np.diff(line.astype(int)).clip(0).sum() == 2  # two stretches of red
        assert line.sum() == 2 * SIZE


def test_rows_may_differ_and_cells_may_be_empty() -> None:
    cell = LabelledPicture(plain(SIZE, SIZE))
    sheet = contact_sheet([[cell], [], [None, cell]], cell_size=SIZE)
    assert (sheet == RED).all(axis=2).sum() == 2 * SIZE * SIZE
    assert sheet.shape[1] == 2 * MARGIN + 2 * SIZE + GAP


def test_an_empty_column_is_a_gap() -> None:
    cell = LabelledPicture(plain(SIZE, SIZE))
    sheet = contact_sheet([[cell, None, cell], [cell, None, cell]], cell_size=SIZE)
    assert sheet.shape[1] == 2 * MARGIN + 2 * SIZE + EMPTY_COLUMN + 2 * GAP


@pytest.mark.parametrize("rows", [[], [[]], [[None]], [[], [None, None]]])
def test_a_sheet_of_nothing_is_refused(rows: list[list[None]]) -> None:
    with pytest.raises(ImageError, match="at least one"):
        contact_sheet(rows)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ImageError, match=r"\(4, 4\)"):
        contact_sheet([[LabelledPicture(np.zeros((4, 4), np.float32))]])


def test_texts_are_written_and_take_room() -> None:
    cell, labelled = (LabelledPicture(plain(SIZE, SIZE), text) for text in ("", "relu3_1"))
    bare = contact_sheet([[cell]], cell_size=SIZE)
    assert ink(bare) == 0
    for sheet in (
        contact_sheet([[labelled]], cell_size=SIZE),
        contact_sheet([[cell]], title="relu3_1", cell_size=SIZE),
        contact_sheet([[cell]], row_headings=["relu3_1"], cell_size=SIZE),
        contact_sheet([[cell]], column_headings=["relu3_1"], cell_size=SIZE),
    ):
        assert ink(sheet) > 20
        assert sheet.size > bare.size
        assert (sheet == RED).all(axis=2).sum() == SIZE * SIZE  # no letter on the picture


@pytest.mark.parametrize(
    "text", ["東京 タワー.jpg", "фото.jpg", "ελιά.jpg", "a\u202e\ud800\tb", "\0"]
)
def test_any_script_is_written(text: str) -> None:
    assert ink(contact_sheet([[LabelledPicture(plain(SIZE, SIZE), text)]], cell_size=SIZE)) > 1


def test_scripts_are_letters_and_not_boxes() -> None:
    """Characters that a font lacks would all look the same."""
    sheets = [
        contact_sheet([[LabelledPicture(plain(SIZE, SIZE), text)]], cell_size=SIZE)
        for text in ("東", "京", "ж", "λ")
    ]
    assert len({sheet.tobytes() for sheet in sheets}) == len(sheets)


def test_lines_of_a_label_lie_below_each_other() -> None:
    heights = [
        contact_sheet([[LabelledPicture(plain(9, 9), label)]], cell_size=SIZE).shape[0]
        for label in ("a", "a\nb", "a\nb\nc")
    ]
    assert heights[1] - heights[0] == heights[2] - heights[1] > 0


def test_values_beyond_the_range_are_clipped_and_the_sheet_can_be_written(tmp_path) -> None:
    sheet = contact_sheet([[LabelledPicture(noise(9, 9) * 4 - 2, "x")]], title="t")
    assert sheet.min() >= 0
    assert sheet.max() <= 1
    images.write(tmp_path / "sheet.png", sheet)


@given(st.text(max_size=80), st.integers(20, 300))
def test_elided_lines_fit(text: str, width: int) -> None:
    text = "".join(filter(str.isprintable, text))
    shown = elided(text, width, 13)
    assert text_width(shown, 13) <= width
    assert shown == text or "…" in shown


def test_elided_names_keep_both_ends() -> None:
    shown = elided("n01440764_a_very_long_name_of_a_photo_0042.JPEG", 160, 13)
    assert shown.startswith("n014")
    assert shown.endswith("42.JPEG")


@given(st.lists(st.text("abcß東", min_size=1, max_size=12), min_size=1, max_size=9))
def test_wrapping_keeps_every_word(words: list[str]) -> None:
    lines = wrapped(" ".join(words), 100, 13)
    assert " ".join(lines).split(" ") == words
    assert all(text_width(line, 13) <= 100 for line in lines if " " in line)
