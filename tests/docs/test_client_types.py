"""Programs that embed nstbatch pass a strict type checker, with the types that it ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "embedding.md"

CONFIG = f"""
[mypy]
strict = true
follow_imports = silent
mypy_path = {ROOT / "typings"}

[mypy-IPython.*,onnxruntime.*]
ignore_missing_imports = true
"""


def test_the_examples_pass_mypy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(code) > 5
    for number, block in enumerate(code):
        (tmp_path / f"example_{number}.py").write_text(block, "utf-8")
    # Reading a picture takes a path: mypy must find that, so the types are really used.
    (tmp_path / "wrong.py").write_text("import nstbatch\nnstbatch.read(3)\n", "utf-8")
    (tmp_path / "mypy.ini").write_text(CONFIG, "utf-8")
    monkeypatch.chdir(tmp_path)
    found, errors, _ = api.run(["--config-file", "mypy.ini", "."])
    assert errors == ""
    lines = [line for line in found.splitlines() if ": error:" in line]
    assert [line.partition(":")[0] for line in lines] == ["wrong.py"], found
