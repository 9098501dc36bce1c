"""Endless zooms: what a frame comes from, and going on where a run was killed."""

from dataclasses import replace

import numpy as np
import pytest

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.descent.pyramid import OPENING
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.pictures.images import read, write
from nstbatch.runtime.systems import zoom as zoom_module
from nstbatch.runtime.systems.deepdream import DeepDream
from nstbatch.runtime.systems.dream_options import DreamOptions, ZoomOptions
from nstbatch.runtime.systems.zoom import dream_frames, frame_path, noise_picture, zoomed

QUICK = DreamOptions(size=48, layer="fire3/concat", octaves=1, iterations=2, jitter=4)
FOUR = ZoomOptions(frames=4, zoom=1.1)


@pytest.fixture(scope="module")
def dream() -> DeepDream:
    return DeepDream("squeezenet1_1", device="cpu", threads=1)


@pytest.fixture(scope="module")
def photo():
    image = photo_like(np.random.default_rng(0), 60, 80).transpose(1, 2, 0)
    return np.ascontiguousarray(image, dtype=np.float32)


@pytest.fixture(scope="module")
def uninterrupted(dream, photo, tmp_path_factory):
    """The bytes of four frames that were made in one go."""
    folder = tmp_path_factory.mktemp("whole")
    result = dream_frames(dream, photo, folder, FOUR, QUICK)
    assert result.frames == tuple(folder / f"00000{number}.png" for number in (1, 2, 3, 4))
    assert (result.reason, result.steps) == (StopReason.FINISHED, 8)
    return [path.read_bytes() for path in result.frames]


def test_frames_are_of_one_size_and_differ(uninterrupted, tmp_path):
    for number, frame in enumerate(uninterrupted):
        (tmp_path / f"{number}.png").write_bytes(frame)
        assert read(tmp_path / f"{number}.png").pixels.shape == (36, 48, 3)
    assert len(set(uninterrupted)) == 4


def test_a_frame_is_dreamed_from_the_one_before_and_its_number(dream, photo, tmp_path):
    two = dream_frames(dream, photo, tmp_path, replace(FOUR, frames=2), QUICK)
    first = dream(photo, QUICK)
    write(tmp_path / "first.png", first.image)
    assert two.frames[0].read_bytes() == (tmp_path / "first.png").read_bytes()
    start = zoomed(read(two.frames[0]).pixels, 1.1)
    second = dream(start, replace(QUICK, seed=1))
    write(tmp_path / "second.png", second.image)
    assert two.frames[1].read_bytes() == (tmp_path / "second.png").read_bytes()
    assert two.losses == second.losses


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_run_that_was_killed_ends_with_the_same_frames(
    dream, photo, uninterrupted, tmp_path, after
):
    stop_at = 2 * after + 1  # in the middle of a frame
    reports = []
    broken = dream_frames(
        dream,
        photo,
        tmp_path,
        FOUR,
        QUICK,
        progress=reports.append,
        stop=lambda: len(reports) > stop_at + after,
    )
    assert broken.reason is StopReason.STOPPED
    assert len(broken.frames) == len(list(tmp_path.glob("*.png"))) == after
    result = dream_frames(dream, photo, tmp_path, FOUR, QUICK)
    assert [path.read_bytes() for path in result.frames] == uninterrupted
    assert result.steps == 8 - 2 * after


def test_frames_that_are_all_there_are_left_alone(dream, photo, tmp_path):
    dream_frames(dream, photo, tmp_path, FOUR, QUICK)
    result = dream_frames(dream, photo, tmp_path, FOUR, QUICK)
    assert (result.steps, result.losses, len(result.frames)) == (0, {}, 4)


def test_a_longer_film_goes_on_from_a_shorter_one(dream, photo, uninterrupted, tmp_path):
    dream_frames(dream, photo, tmp_path, replace(FOUR, frames=2), QUICK)
    result = dream_frames(dream, photo, tmp_path, FOUR, QUICK)
    assert [path.read_bytes() for path in result.frames] == uninterrupted


@pytest.mark.parametrize(
    "change",
    [
        {"options": replace(QUICK, size=64)},
        {"options": replace(QUICK, layer="fire2/concat")},
        {"options": replace(QUICK, seed=1)},
        {"zoom": replace(FOUR, zoom=1.2)},
        {"start": "mirrored"},
    ],
)
def test_a_film_never_goes_on_from_the_frames_of_another_one(dream, photo, tmp_path, change):
    dream_frames(dream, photo, tmp_path, replace(FOUR, frames=1), QUICK)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    start = photo[:, ::-1].copy() if "start" in change else photo
    zoom, options = change.get("zoom", FOUR), change.get("options", QUICK)
    with pytest.raises(ImageError, match="are of another dream"):
        dream_frames(dream, start, tmp_path, zoom, options)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_pictures_that_somebody_else_has_numbered_are_no_frames(dream, photo, tmp_path):
    write(frame_path(tmp_path, 1), photo)
    with pytest.raises(ImageError, match="are of another dream"):
        dream_frames(dream, photo, tmp_path, FOUR, QUICK)


def test_progress_counts_all_frames(dream, photo, tmp_path):
    reports = []
    dream_frames(dream, photo, tmp_path, replace(FOUR, frames=2), QUICK, progress=reports.append)
    assert [report.stage for report in reports] == ["frame 1/2"] * 3 + ["frame 2/2"] * 3
    assert [report.step for report in reports] == [0, 1, 2, 2, 3, 4]
    opened = OPENING / (OPENING + 2)
    step = (1 - opened) / 2
    of_a_frame = np.array([opened, opened + step, 1])
    shares = [report.share for report in reports]
    np.testing.assert_allclose(shares, np.concatenate([of_a_frame, 1 + of_a_frame]) / 2)


def test_a_zoom_keeps_the_centre_and_enlarges_about_it():
    rows = np.linspace(0.2, 0.8, 41, dtype=np.float32)[:, None, None]
    picture = np.broadcast_to(rows, (41, 31, 3)).copy()
    large = zoomed(picture, 2.0)
    np.testing.assert_allclose(large[20], picture[20], atol=1e-3)
    np.testing.assert_allclose(large[0, 0], picture[10, 0], atol=1e-3)
    np.testing.assert_allclose(large[40, 30], picture[30, 0], atol=1e-3)


def test_no_zoom_leaves_the_picture():
    picture = noise_picture(16, 0)
    np.testing.assert_allclose(zoomed(picture, 1.0), picture, atol=1e-6)


def test_noise_has_a_seed():
    assert noise_picture(16, 0).shape == (16, 16, 3)
    np.testing.assert_array_equal(noise_picture(16, 3), noise_picture(16, 3))
    assert (noise_picture(16, 3) != noise_picture(16, 4)).any()


def test_a_frame_that_cannot_be_written_ends_the_film(dream, photo, tmp_path, monkeypatch):
    def full(path, pixels):
        raise ImageError("The picture cannot be written: No space left on device.")

    monkeypatch.setattr(zoom_module, "write", full)
    with pytest.raises(ImageError, match="No space"):
        dream_frames(dream, photo, tmp_path, FOUR, QUICK)
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"zoom": 0.9}, {"zoom": float("inf")}])
def test_options_out_of_range_are_refused_by_their_name(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=name):
        ZoomOptions(**wrong)
