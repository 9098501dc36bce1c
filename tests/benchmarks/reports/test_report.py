import json
from dataclasses import replace

import pytest

# docs/bench.md: what other programs read.
CONTRACT = {
    "provider",
    "precision",
    "verb",
    "size",
    "batch",
    "status",
    "reason",
    "ms_per_step",
    "p95_ms",
    "images_per_second",
    "peak_bytes",
    "loss",
    "max_difference",
    "tflops",
    "share_of_peak",
    "ratio",
    "samples_ms",
}


def test_the_json_has_what_other_programs_rely_on(report):
    data = json.loads(report.to_json())
    assert {"machine", "rows"} <= data.keys()
    assert all(row.keys() >= CONTRACT for row in data["rows"])
    cpu, torch, cuda, failed = data["rows"][4:]
    assert (cpu["provider"], cpu["precision"], cpu["size"], cpu["batch"]) == ("cpu", "fp32", 512, 1)
    assert cpu["samples_ms"] == pytest.approx([51.2, 51.2, 51.2, 56.32, 51.2, 51.2])
    assert cpu["ratio"] == {"torch": pytest.approx(2)}
    assert cpu["ratio_interval"]["torch"] == pytest.approx([2 / 1.05, 2])
    assert torch["ratio"] == {}
    assert (cuda["status"], cuda["reason"], cuda["samples_ms"]) == ("absent", "no | driver", [])
    assert failed["status"] == "failed"
    assert cuda["ms_per_step"] is None


def test_what_is_not_finite_is_null(report):
    rows = (replace(report.rows[0], loss=float("nan")),)
    data = json.loads(replace(report, rows=rows).to_json(), parse_constant=pytest.fail)
    assert data["rows"][0]["loss"] is None


def test_a_row_says_what_its_turns_were(make_row):
    row = make_row("cpu", [[10, 30], [20, 20], [40, 60]], batch=4, operations=10**10, rate=2e12)
    assert row.ms_per_step == 25
    assert row.p95_ms == pytest.approx(55)
    assert row.images_per_second == pytest.approx(160)
    assert row.tflops == pytest.approx(0.4)
    assert row.matrix_tflops == pytest.approx(2)
    assert row.share_of_peak == pytest.approx(0.25)  # of the rounds: 0.25, 0.25, 0.1
    assert (row.rounds, len(row.samples_ms)) == (3, 6)


def test_without_a_matrix_rate_there_is_no_share(make_row):
    assert make_row("cpu", [[10]], rate=0.0).share_of_peak is None
