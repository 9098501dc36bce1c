import importlib.util
import io

import av
import numpy as np
import pytest
from PIL import Image

from nstbatch.runtime.errors import UnknownNameError, UsageError
from nstbatch.runtime.pictures.films import check_encoder, encode

COLOURS = ([200, 40, 40], [40, 200, 40], [40, 40, 200], [128, 128, 128])


@pytest.fixture
def frames(tmp_path):
    """Four frames of one colour each, with odd sides."""
    paths = [tmp_path / f"{number}.png" for number in range(len(COLOURS))]
    for path, colour in zip(paths, COLOURS, strict=True):
        Image.fromarray(np.full((45, 63, 3), colour, np.uint8)).save(path)
    return paths


def test_an_mp4_has_the_frames_in_order(frames):
    with av.open(io.BytesIO(encode("mp4", frames, 12.5))) as film:
        (stream,) = film.streams
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
        assert float(stream.average_rate) == 12.5
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
    assert [frame.shape for frame in shown] == [(44, 62, 3)] * 4
    for frame, colour in zip(shown, COLOURS, strict=True):
        assert np.abs(frame.mean((0, 1)) - colour).max() < 8


def test_a_gif_has_the_frames_in_order_and_goes_round(frames):
    with Image.open(io.BytesIO(encode("gif", frames, 10))) as film:
        assert (film.n_frames, film.size) == (4, (63, 45))
        assert film.info["loop"] == 0
        for number, colour in enumerate(COLOURS):
            film.seek(number)
            assert film.info["duration"] == 100
            assert np.abs(np.asarray(film.convert("RGB")).mean((0, 1)) - colour).max() < 8


@pytest.mark.parametrize("video", ["mp4", "gif"])
def test_one_frame_is_a_film(frames, video):
    assert encode(video, frames[:1], 15)


def test_without_pyav_an_mp4_is_refused_with_the_command_that_helps(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'nstbatch\[video\]'.*--video gif"):
        check_encoder("mp4")
    check_encoder("gif")
    check_encoder("none")


def test_an_unknown_kind_is_refused_with_the_right_ones():
    with pytest.raises(UnknownNameError, match=r"'avi'.*mp4, gif, none"):
        check_encoder("avi")
