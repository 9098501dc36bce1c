import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from nstbatch.cli.main import run


@pytest.fixture
def calls(monkeypatch) -> list[dict]:
    """What the exporter was asked for; it answers with a bundle of three graphs."""
    calls = []

    def export_bundle(source, *, log, **options):
        log(f"exporting {source}")
        calls.append({"source": source, **options})
        return SimpleNamespace(bundle=SimpleNamespace(path=Path("bundles") / "mine"))

    def verify_bundle(exported):
        assert exported.bundle.path.name == "mine"
        return [("gradient_avg", "64x64", 3.21e-7), ("gradient_max", "97x131", 1e-6)]

    for name, function in (("export", export_bundle), ("verify", verify_bundle)):
        module = SimpleNamespace(**{function.__name__: function})
        monkeypatch.setitem(sys.modules, f"nstbatch.exporter.{name}", module)
    return calls


def test_options_reach_the_exporter(calls, capsys):
    arguments = (
        "net.py:build --name mine --weights w.pth --sha256 00ff --layers relu*,fc --layers p"
    )
    assert run(["export", *arguments.split(), "-o", "here", "--overwrite"]) == 0
    assert calls == [
        {
            "source": "net.py:build",
            "name": "mine",
            "weights": Path("w.pth"),
            "sha256": "00ff",
            "layers": ("relu*", "fc", "p"),
            "out": Path("here"),
            "overwrite": True,
        }
    ]
    out, err = capsys.readouterr()
    assert Path(out.strip()) == Path("bundles/mine")
    assert err == "exporting net.py:build\n"


def test_what_is_not_said_is_left_to_the_exporter(calls, capsys):
    assert run(["export", "vgg16", "--quiet"]) == 0
    assert calls == [
        {
            "source": "vgg16",
            "name": None,
            "weights": None,
            "sha256": None,
            "layers": (),
            "out": None,
            "overwrite": False,
        }
    ]
    assert capsys.readouterr().err == ""


def test_verify_prints_the_errors(calls, capsys):
    assert run(["export", "vgg16", "--verify"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["GRAPH", "SIZE", "RELATIVE", "ERROR"],
        ["gradient_avg", "64x64", "3.2e-07"],
        ["gradient_max", "97x131", "1.0e-06"],
    ]


def test_without_torch_the_command_that_installs_it_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["export", "vgg16"]) == 2
    assert "pip install 'torch>=" in capsys.readouterr().err


def test_an_unknown_name_lists_the_right_ones(capsys):
    assert run(["export", "vgg61"]) == 2
    assert "vgg16" in capsys.readouterr().err
