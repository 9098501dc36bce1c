import json
from pathlib import Path

import pytest

from nstbatch.cli.main import run
from nstbatch.runtime.bundles.bundle import Bundle

BUILT_IN = {"alexnet", "squeezenet1_1", "vgg16"}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path))
    return tmp_path / "bundles"


def test_the_table_has_a_line_for_every_model(capsys):
    assert run(["models"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["NAME", "LAYERS", "SIZE", "POOLING", "LICENCE", "WEIGHTS", "FROM"]
    assert {line.split()[0] for line in lines} == BUILT_IN
    bundle = Bundle.load("vgg16")
    (line,) = [line for line in lines if line.startswith("vgg16 ")]
    assert line.split()[1] == str(len(bundle.layers))
    assert bundle.weights_licence in line
    assert bundle.weights_source[:40] in line


def test_one_model_with_its_layers(capsys):
    assert run(["models", "vgg16"]) == 0
    out = capsys.readouterr().out
    assert Bundle.load("vgg16").weights_source in out
    rows = [line.split() for line in out.splitlines()]
    # Two 3x3 convolutions see 5 pixels, pooled 6, two more 14, pooled 16, the next one 24.
    assert ["relu3_1", "256", "4", "24", "px"] in rows


def test_json_has_everything(capsys):
    assert run(["models", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert {record["name"] for record in records} == BUILT_IN
    assert run(["models", "squeezenet1_1", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["size_bytes"] == Bundle.load("squeezenet1_1").size_bytes
    assert "fire5/concat" in [layer["name"] for layer in record["layers"]]


def test_an_unknown_model_lists_the_right_ones(capsys):
    assert run(["models", "vgg61"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Did you mean 'vgg16'" in err


def test_a_damaged_model_does_not_hide_the_others(home, capsys):
    (home / "broken").mkdir(parents=True)
    (home / "broken" / "bundle.json").write_text("{")
    assert run(["models"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 + len(BUILT_IN)
    assert err.startswith("nstbatch: broken: ")
    assert run(["models", "broken"]) == 1
