import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from nstbatch.cli.main import run


def row(graph, gradient, **changes):
    values = {"picture": "flat areas", "height": 64, "width": 48, "batch": 3, "layers": 3.21e-7}
    flags = {"is_clear": True, "is_right": True}
    return SimpleNamespace(graph=graph, gradient=gradient, **values | flags | changes)


@pytest.fixture
def rows() -> list[SimpleNamespace]:
    """Results of a comparison with PyTorch."""
    return [row("forward_avg.onnx", None), row("deconv.onnx", 1e-6, is_clear=False)]


@pytest.fixture
def calls(rows, monkeypatch) -> list[dict]:
    """Calls of a stand-in exporter; it returns a bundle whose comparison gives ``rows``."""
    calls = []

    def export_bundle(source, *, log, **options):
        log(f"exporting {source}")
        calls.append({"source": source, **options})
        return SimpleNamespace(bundle=SimpleNamespace(path=Path("bundles") / "mine"))

    def verify(export, log):
        log(f"verifying {export.bundle.path.name}")
        return rows

    modules = {
        "export": SimpleNamespace(export_bundle=export_bundle),
        "checks.verify": SimpleNamespace(verify=verify, TOLERANCE=1e-5),
    }
    for name, module in modules.items():
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
    out, err = capsys.readouterr()
    flat = ["flat", "areas", "64x48", "3", "3.2e-07"]
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["GRAPH", "PICTURE", "SIZE", "BATCH", "LAYERS", "GRADIENT"],
        ["forward_avg.onnx", *flat, "-"],
        ["deconv.onnx", *flat, "1.0e-06", "(a", "close", "decision)"],
    ]
    assert err == "exporting vgg16\nverifying mine\n"


def test_an_error_beyond_the_tolerance_fails(calls, rows, capsys):
    rows[1] = row("deconv.onnx", 0.25, is_right=False)
    assert run(["export", "vgg16", "--verify", "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert "2.5e-01" in out
    assert err == "nstbatch: 1 of 2 comparisons with PyTorch are off by more than 1e-05.\n"


def test_without_torch_the_command_that_installs_it_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nstbatch.exporter.export", None)  # so that its import fails
    assert run(["export", "vgg16"]) == 2
    assert "-m pip install 'nstbatch[export]'" in capsys.readouterr().err


def test_an_unknown_name_lists_the_right_ones(capsys):
    assert run(["export", "vgg61"]) == 2
    assert "vgg16" in capsys.readouterr().err
