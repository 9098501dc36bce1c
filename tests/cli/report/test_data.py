import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nstbatch.cli.output.ledger import NAME as LEDGER
from nstbatch.cli.report.data import read_report
from nstbatch.runtime.errors import UsageError


def test_runs_and_pictures_are_read(batch):
    batch.run()
    batch.image("a.png")
    batch.failure("b.png", "The file is empty (0 bytes).")
    report = read_report(batch.out)
    (run,) = report.runs.values()
    assert (run.verb, run.bundle, run.style) == ("stylize", "vgg16", "photos/the style.png")
    done, failed = report.entries
    assert (done.name, done.status, done.losses["total"]) == ("a.png", "done", 2.0)
    assert done.curve == ((0, 20.0), (10, 8.0), (20, 4.0), (40, 2.0))
    assert (failed.status, failed.reason) == ("failed", "The file is empty (0 bytes).")
    assert report.output_path(done).is_file()
    assert report.input_path(done) == batch.photos / "a.png"


def test_the_last_line_of_a_picture_counts(batch):
    batch.failure("a.png", "The disk was full.")
    batch.image("b.png")
    batch.image("a.png")
    entries = read_report(batch.out).entries
    assert [(entry.name, entry.status, entry.line) for entry in entries] == [
        ("b.png", "done", 2),
        ("a.png", "done", 3),
    ]


def test_the_folder_may_have_been_moved(batch):
    batch.run()
    batch.image("a.png")
    moved = batch.out.rename(batch.out.with_name("elsewhere"))
    report = read_report(moved)
    assert report.output_path(report.entries[0]) == moved / "a.png"
    assert report.input_path(report.entries[0]).is_file()


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "image", "status": "done", "inp',
        "null",
        "[1]",
        '{"kind": "image", "status": "lost", "input": "b.png"}\n',
        '{"kind": "image", "status": "done", "input": 3}\n',
        '{"kind": "run", "run": null}\n',
        '{"kind": "something newer"}\n',
        "[" * 100_000,
        "9" * 5000,
        "\0\n",
    ],
)
def test_a_torn_or_foreign_line_is_passed_over(batch, line):
    batch.image("a.png")
    batch.append(line)
    assert [entry.name for entry in read_report(batch.out).entries] == ["a.png"]


def test_lines_after_a_torn_line_count(batch):
    batch.append('{"kind": "image", "sta\n')
    batch.image("a.png")
    assert [entry.name for entry in read_report(batch.out).entries] == ["a.png"]


@pytest.mark.parametrize("output", ["../a.png", "/etc/hostname", "b/../../a.png", "", ".", None, 3])
def test_no_output_is_outside_the_folder(batch, output):
    batch.image("a.png", output_in_folder=output)
    report = read_report(batch.out)
    assert report.output_path(report.entries[0]) is None


def test_a_folder_without_a_ledger_is_wrong_usage(batch):
    with pytest.raises(UsageError, match=r"There is no nstbatch.jsonl in .*painted"):
        read_report(batch.out)
    (batch.out / LEDGER).mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        read_report(batch.out)


def test_an_empty_ledger_is_an_empty_report(batch):
    batch.append("")
    assert read_report(batch.out).entries == ()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
NAMES = (
    "run",
    "time",
    "output_in_folder",
    "reason",
    "seconds",
    "steps",
    "losses",
    "curve",
    "width",
)


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_an_entry_with_any_values_can_be_shown(batch, fields):
    line = {"kind": "image", "input": "a.png", "status": "done"} | fields
    (batch.out / LEDGER).write_text(json.dumps(line) + "\n", encoding="utf-8")
    (entry,) = read_report(batch.out).entries
    output = read_report(batch.out).output_path(entry)
    assert output is None or batch.out in output.parents
    shown = [entry.seconds, entry.steps, dict(entry.losses), entry.curve]
    assert json.dumps(shown, allow_nan=False)


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_can_be_read(batch, data):
    (batch.out / LEDGER).write_bytes(data)
    read_report(batch.out)
