"""A key changes with everything that shapes what is kept under it, and with nothing else."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

from nstbatch.runtime.cache import cache_key as module
from nstbatch.runtime.cache.cache_key import cache_key
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.objectives.prior_terms import alpha_norm
from nstbatch.runtime.objectives.terms import content, style
from nstbatch.runtime.objectives.views import JITTER, wrapped

TERM = style("relu1_1").terms[0]
SHAPES = [("image", (1, 3, 64, 64))]
KEY = cache_key("graph", TERM, SHAPES, Provider("cpu", "fp32"))


def test_the_same_key_comes_of_the_same():
    other = style("relu1_1").terms[0]
    assert cache_key("graph", other, list(SHAPES), Provider("cpu", "fp32")) == KEY


@pytest.mark.parametrize(
    "parts",
    [
        ("fact", TERM, SHAPES, Provider("cpu", "fp32")),
        ("graph", content("relu1_1").terms[0], SHAPES, Provider("cpu", "fp32")),
        ("graph", style("relu2_1").terms[0], SHAPES, Provider("cpu", "fp32")),
        ("graph", replace(TERM, attributes=(("pictures", 2),)), SHAPES, Provider("cpu", "fp32")),
        ("graph", TERM, [("image", (1, 3, 64, 65))], Provider("cpu", "fp32")),
        ("graph", TERM, [("photo", (1, 3, 64, 64))], Provider("cpu", "fp32")),
        ("graph", TERM, SHAPES, Provider("openvino", "fp32")),
        ("graph", TERM, SHAPES, Provider("openvino", "bf16")),
    ],
)
def test_every_part_counts(parts):
    assert cache_key(*parts) != KEY


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (alpha_norm(6).terms, alpha_norm(2).terms),
        (wrapped(8), wrapped(9)),
        (wrapped(8), JITTER),
        (Adam(), Adam(betas=(0.9, 0.999))),
        (LBFGS(), LBFGS(history=5)),
        (Adam(), LBFGS()),
    ],
)
def test_attributes_count(one, other):
    assert cache_key("graph", one) != cache_key("graph", other)


@pytest.mark.parametrize("what", ["digest_of_sources", "processor_flags"])
def test_what_makes_a_graph_counts(monkeypatch, what):
    monkeypatch.setattr(module, what, lambda *_: frozenset({"another"}) if "flags" in what else "x")
    module._makers.cache_clear()
    changed = cache_key("graph", TERM, SHAPES, Provider("cpu", "fp32"))
    monkeypatch.undo()
    module._makers.cache_clear()
    assert changed != KEY == cache_key("graph", TERM, SHAPES, Provider("cpu", "fp32"))


def test_a_changed_formula_changes_the_key_in_whatever_folder_it_lies(tmp_path, monkeypatch):
    copy = tmp_path / "runtime"
    leave = shutil.ignore_patterns("bundles", "__pycache__")
    shutil.copytree(module.RUNTIME, copy, ignore=leave)
    monkeypatch.setattr(module, "RUNTIME", copy)
    formulas = sorted(copy.rglob("*_formula*.py"))
    assert formulas
    for path in formulas:
        keys = []
        for line in ("", "# changed\n"):
            path.write_text(path.read_text(encoding="utf-8") + line, encoding="utf-8")
            module._makers.cache_clear()
            keys.append(cache_key("graph", TERM))
        assert keys[0] != keys[1], path
    monkeypatch.undo()
    module._makers.cache_clear()


def test_the_place_of_a_source_counts(tmp_path):
    for place in ("one", "other"):
        (tmp_path / place).mkdir()
    (tmp_path / "one/formula.py").write_text("x = 1\n")
    before = module.digest_of_sources(tmp_path)
    (tmp_path / "one/formula.py").rename(tmp_path / "other/formula.py")
    assert module.digest_of_sources(tmp_path) != before


def test_the_version_of_onnx_runtime_counts(monkeypatch):
    monkeypatch.setattr(module.ort, "__version__", "0.0")
    module._makers.cache_clear()
    changed = cache_key("graph", TERM, SHAPES, Provider("cpu", "fp32"))
    module._makers.cache_clear()
    assert changed != KEY


def test_the_source_of_somebody_elses_formula_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    keys = set()
    for number in range(2):
        (tmp_path / "elsewhere.py").write_text(f"formula = {number}\n")
        module._source_of.cache_clear()
        keys.add(cache_key("graph", Formula("elsewhere", "formula")))
    assert len(keys) == 2
    assert "elsewhere" not in sys.modules


def test_a_formula_without_a_source_has_no_key():
    assert cache_key("graph", Formula("there_is_no_such_module", "formula")) is None


def test_what_is_of_no_known_kind_has_no_key():
    @dataclass
    class Odd:
        value: object

    assert cache_key("graph", Odd(object())) is None
    assert cache_key("graph", np.float32(0.05)) is None


def test_another_process_makes_the_same_key():
    code = (
        "from nstbatch.runtime.cache.cache_key import cache_key;"
        "from nstbatch.runtime.objectives.terms import style;"
        "from nstbatch.runtime.devices.providers import Provider;"
        "print(cache_key('graph', style('relu1_1').terms[0], [('image', (1, 3, 64, 64))],"
        "Provider('cpu', 'fp32')))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == KEY
