import json
from dataclasses import replace
from pathlib import Path

import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet, LayerMaxima
from nstbatch.runtime.deconvnet.maxima import FilterMaxima, Maximum
from nstbatch.runtime.deconvnet.maxima_file import MaximaFile, fingerprint
from nstbatch.runtime.errors import UsageError


@pytest.fixture(scope="module")
def deconvnet() -> Deconvnet:
    return Deconvnet("alexnet", device="cpu", threads=1)


def maxima(layer="relu1") -> LayerMaxima:
    images = (Path("a.jpg"), Path("東京.png"), Path("byte\udcff.png"))
    return LayerMaxima(
        layer,
        (
            FilterMaxima(0, 2, (Maximum(0, 2, 3, 4, 0.1 + 0.2), Maximum(0, 0, 0, 54, 1e-30))),
            FilterMaxima(1, 0, ()),
        ),
        images,
        {Path("bad.png"): "The file is empty (0 bytes)."},
    )


def test_what_is_stored_is_loaded(tmp_path, deconvnet):
    path = tmp_path / "deconv.json"
    MaximaFile(path).store(maxima(), deconvnet, "abc")
    MaximaFile(path).store(maxima("relu2"), deconvnet, "def")
    file = MaximaFile(path)
    assert file.load("relu1") == maxima()
    assert file.load("relu2") == maxima("relu2")
    assert (file.is_of("relu1", "abc"), file.is_of("relu1", "def")) == (True, False)
    assert file.is_of("relu3", "abc") is None
    assert list(tmp_path.iterdir()) == [path]


def test_other_programs_can_read_it(tmp_path, deconvnet):
    MaximaFile(tmp_path / "deconv.json").store(maxima(), deconvnet, "abc")
    layer = json.loads((tmp_path / "deconv.json").read_text())["layers"]["relu1"]
    assert (layer["model"], layer["rule"], layer["size"]) == ("alexnet", "deconv", 224)
    alive, dead = layer["filters"]
    assert dead == {"filter": 1, "fires": 0, "dead": True, "maxima": []}
    assert alive["maxima"][1] == {
        "image": "a.jpg",
        "value": 1e-30,
        "row": 0,
        "column": 54,
        "box": [0, 214, 9, 224],  # stride 4, from 2 pixels before the image on, 11 wide
    }


def test_finished_overviews_are_remembered(tmp_path, deconvnet):
    path = tmp_path / "deconv.json"
    file = MaximaFile(path)
    file.store(maxima(), deconvnet, "abc")
    assert file.overview("relu1", "one.png") is None
    file.store_overview("relu1", "one.png", [1, 2])
    assert MaximaFile(path).overview("relu1", "one.png") == [1, 2]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"format": 2, "layers": {}}', '{"format": 1, "layers": [1]}']
)
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "deconv.json").write_text(text)
    with pytest.raises(UsageError, match="is not what this version of nstbatch writes"):
        MaximaFile(tmp_path / "deconv.json")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"image": "a.jpg"', '"image": "b.jpg"'),
        ('"row": 0', '"row": 9999'),
        ('"row": 0', '"row": -3'),
        ('"filter": 1', '"filter": 7'),
        ('"overviews": {}', '"overviews": 5'),
        ('"overviews": {}', '"overviews": {"a.png": 5}'),
    ],
)
def test_a_damaged_layer_is_refused(tmp_path, deconvnet, before, after):
    path = tmp_path / "deconv.json"
    MaximaFile(path).store(maxima(), deconvnet, "abc")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(UsageError, match="is not what"):
        MaximaFile(path).load("relu1")


def test_what_another_process_writes_meanwhile_stays(tmp_path, deconvnet):
    path = tmp_path / "deconv.json"
    first, second = MaximaFile(path), MaximaFile(path)
    first.store(maxima(), deconvnet, "abc")
    second.store(replace(maxima(), layer="conv1"), deconvnet, "def")
    assert MaximaFile(path).is_of("relu1", "abc")
    assert MaximaFile(path).is_of("conv1", "def")


def test_a_fingerprint_changes_with_all_that_a_result_depends_on(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    alexnet, vgg16 = Bundle.load("alexnet"), Bundle.load("vgg16")
    paths = [tmp_path / "a.png", tmp_path / "missing.png"]
    first = fingerprint(paths, [alexnet], ["relu1", 224])
    assert first == fingerprint(paths, [alexnet], ["relu1", 224])
    others = {
        fingerprint(paths[::-1], [alexnet], ["relu1", 224]),
        fingerprint(paths[:1], [alexnet], ["relu1", 224]),
        fingerprint(paths, [vgg16], ["relu1", 224]),
        fingerprint(paths, [alexnet], ["relu2", 224]),
        fingerprint(paths, [alexnet], ["relu1", 225]),
    }
    (tmp_path / "a.png").write_bytes(b"12")
    others.add(fingerprint(paths, [alexnet], ["relu1", 224]))
    assert len(others) == 6
    assert first not in others
