from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from nstbatch.cli.jobs.plan import Job, Plan
from nstbatch.cli.report import reconstruction_report as report
from nstbatch.cli.report.reconstruction_report import PUBLISHED, Row
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.systems.reconstruction_options import TV_SWEEP


def row(image="a.jpg", layer="conv1", tv_weight=0.5, error=0.1, model="alexnet") -> Row:
    return Row(image, model, layer, tv_weight, error, 0.02, 7, 64, 48)


def save(job: Job, *rows: Row) -> None:
    whole = {name: asdict(rows[0])[name] for name in ("image", "model", "width", "height")}
    job.output.touch()
    job.output.with_suffix(".json").write_text(
        json.dumps({**whole, "layers": [asdict(row) for row in rows]})
    )


@pytest.fixture
def plan(tmp_path) -> Plan:
    names = ("a", "b", "c")
    return Plan(tuple(Job(Path(f"{name}.jpg"), tmp_path / f"{name}.png") for name in names))


def test_rows_come_from_existing_sheets(plan, tmp_path):
    first, second, third = plan.jobs
    save(first, row("a.jpg"), row("a.jpg", "relu1"))
    save(third, row("c.jpg"))
    third.output.unlink()
    save(second, row("b.jpg"))
    assert report.read_rows(tmp_path) == [
        row("a.jpg"),
        row("a.jpg", "relu1"),
        row("b.jpg"),
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layers": []}', "no JSON"])
def test_files_that_are_not_records_are_left_out_with_a_warning(plan, tmp_path, text, caplog):
    save(plan.jobs[0], row())
    plan.jobs[0].output.with_suffix(".json").write_text(text)
    save(plan.jobs[1], row("b.jpg"))
    assert report.read_rows(tmp_path) == [row("b.jpg")]
    assert "a.json" in caplog.text


def test_the_csv_holds_every_row(tmp_path):
    rows = [row(os.fsdecode(b"a, \xff.jpg")), row("b.jpg", "relu1", 50.0, 1 / 3)]
    report.write_csv(tmp_path, rows)
    path = tmp_path / "reconstruction.csv"
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        found = list(csv.DictReader(file))
    assert [dict(line) for line in found] == [
        {name: str(value) for name, value in asdict(row).items()} for row in rows
    ]
    assert float(found[1]["error"]) == 1 / 3


def test_the_table_has_the_mean_over_the_images():
    rows = [row(error=0.1), row("b.jpg", error=0.2), row(tv_weight=5.0, error=0.4)]
    title, line = report.error_table([*rows, row(model="vgg16", error=9)], "alexnet")
    assert title == ("LAYER", "TV 0.5", "TV 5", "PUBLISHED 0.5", "PUBLISHED 5")
    assert line == ("conv1", "15.0", "40.0", "10.0", "20.2")


def test_other_networks_have_nothing_published():
    title, line = report.error_table([row(model="vgg16")], "vgg16")
    assert title == ("LAYER", "TV 0.5")
    assert line == ("conv1", "10.0")


def test_a_layer_without_a_row_shows_a_dash():
    table = report.error_table([row(), row(layer="relu1", tv_weight=50.0)], "alexnet")
    assert table[1][1:3] == ("10.0", "-")


def test_what_is_published_is_for_the_layers_and_weights_there_are():
    assert tuple(PUBLISHED) == Bundle.load("alexnet").layer_names
    assert {len(errors) for errors in PUBLISHED.values()} == {len(TV_SWEEP)}


def test_a_table_in_a_pipe_is_plain(capsys):
    report.print_table([("LAYER", "TV 5"), ("[red]", "1.0")])
    assert capsys.readouterr().out == "LAYER  TV 5\n[red]  1.0\n"


def test_a_table_on_a_terminal_is_ruled_and_says_what_it_holds(capsys, monkeypatch):
    monkeypatch.setattr(report.sys.stdout, "isatty", lambda: True, raising=False)
    report.print_table([("LAYER", "TV 5"), ("[red]", "1.0")])
    out = capsys.readouterr().out
    assert "in percent" in out
    assert "[red]" in out
