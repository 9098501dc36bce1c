"""Maps come back as they were: every sample, its kind, and the channels."""

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from PIL import Image

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.formats.maps import read_map

RANDOM = np.random.default_rng(0)


def written(path: Path, samples: np.ndarray) -> Path:
    """Write by Pillow, or by OpenCV what Pillow cannot; neither is the code under test."""
    if samples.dtype == np.uint8:
        Image.fromarray(samples).save(path)
    else:
        assert cv2.imwrite(str(path), samples)
    return path


def stored(path: Path, dtype: type) -> np.ndarray:
    # OpenCV multiplies the colours of an 8-bit TIFF by its alpha.
    if dtype is np.uint8:
        return np.asarray(Image.open(path))
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_integers_come_back_exactly(tmp_path, suffix, dtype, channels):
    samples = RANDOM.integers(0, np.iinfo(dtype).max, (7, 9, channels), endpoint=True, dtype=dtype)
    path = written(tmp_path / f"map{suffix}", samples.squeeze())
    found = read_map(path)
    assert found.samples.dtype == np.float32
    assert found.samples.shape == (7, 9, channels)
    copy = tmp_path / f"copy{suffix}"
    copy.write_bytes(found.encode(found.samples))
    again = stored(copy, dtype)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again.reshape(samples.shape), samples)
    more = found.encode(found.samples * 0 + 1e6)  # beyond its range
    copy.write_bytes(more)
    assert (stored(copy, dtype) == np.iinfo(dtype).max).all()


def test_a_tiff_of_floats_keeps_them(tmp_path):
    samples = RANDOM.normal(0, 100, (6, 5, 3)).astype(np.float32)
    found = read_map(written(tmp_path / "map.tif", samples))
    copy = tmp_path / "copy.tif"
    copy.write_bytes(found.encode(found.samples))
    np.testing.assert_array_equal(cv2.imread(str(copy), cv2.IMREAD_UNCHANGED), samples)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("names", ["Y", "RGB", "RGBA"])
def test_an_exr_keeps_its_channels_and_their_kind(tmp_path, dtype, names):
    planes = {name: RANDOM.normal(0, 9, (6, 5)).astype(dtype) for name in names}
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    path = tmp_path / "height.exr"
    with OpenEXR.File(header, dict(planes)) as file:
        file.write(str(path))
    found = read_map(path)
    assert found.samples.shape == (6, 5, len(names))
    copy = tmp_path / "copy.exr"
    copy.write_bytes(found.encode(found.samples))
    with OpenEXR.File(str(copy), separate_channels=True) as file:
        again = {name: channel.pixels for name, channel in file.channels().items()}
        assert file.header()["compression"] == OpenEXR.ZIP_COMPRESSION
    assert set(again) == set(planes)
    for name, plane in planes.items():
        assert again[name].dtype == dtype
        np.testing.assert_array_equal(again[name], plane)


@pytest.mark.parametrize("name", ["map.png", "map.tif", "map.exr"])
def test_damaged_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ImageError, match="It cannot be read"):
        read_map(tmp_path / name)


def test_other_formats_and_missing_files_are_refused(tmp_path):
    with pytest.raises(ImageError, match=r"A map is one of \.png, .*, not '.jpg'"):
        read_map(tmp_path / "map.jpg")
    with pytest.raises(ImageError, match="no such file"):
        read_map(tmp_path / "map.png")


def test_without_the_extra_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    assert importlib.util.find_spec("OpenEXR")
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    (tmp_path / "map.exr").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"EXR needs the extra exr: .*nstbatch\[.*exr"):
        read_map(tmp_path / "map.exr")
