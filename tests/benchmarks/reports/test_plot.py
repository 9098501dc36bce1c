import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nstbatch.benchmarks.reports.plot import check_plot, plot
from nstbatch.runtime.errors import UsageError


def test_a_plot_names_all_that_was_measured(report):
    drawn = plot(report, "svg").decode()
    for text in ("cpu fp32", "torch", "batch 1", "512 pixels", "ms a step"):
        assert f"<!-- {text} -->" in drawn
    assert "<!-- cuda" not in drawn
    assert "<!-- torch fp32" not in drawn  # the name of a baseline says its precision


def test_a_plot_is_a_picture(report):
    with Image.open(io.BytesIO(plot(report, "png"))) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300


def test_a_report_without_a_measurement_is_drawn_empty(report):
    rows = tuple(row for row in report.rows if row.status != "done")
    assert plot(replace(report, rows=rows), "png").startswith(b"\x89PNG")


def test_what_would_go_wrong_is_found_out_before(monkeypatch):
    check_plot(Path("a.png"))
    check_plot(Path("a.SVG"))
    with pytest.raises(UsageError, match=r"as '\.txt'; known: .*\.png"):
        check_plot(Path("a.txt"))
    with pytest.raises(UsageError, match="as ''"):
        check_plot(Path("plot"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    with pytest.raises(UsageError, match=r"pip install 'nstbatch\[plot\]"):
        check_plot(Path("a.png"))
