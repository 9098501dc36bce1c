import json
from dataclasses import replace

import pytest

from nstbatch.benchmarks.reports.compare import compare, read_report
from nstbatch.runtime.errors import UsageError


@pytest.fixture
def recorded(report, make_row, tmp_path):
    """A function (factor of the time, machine) -> such a report, written and read again."""

    def write_and_read(factor=1.0, rows=None, **machine):
        slower = [
            replace(row, samples_ms=tuple(factor * ms for ms in row.samples_ms))
            for row in (report.rows if rows is None else rows)
        ]
        changed = replace(report, rows=tuple(slower), machine={**report.machine, **machine})
        path = tmp_path / "report.json"
        path.write_text(changed.to_json(), encoding="utf-8")
        return read_report(path)

    return write_and_read


def test_a_run_against_itself_shows_no_change(recorded):
    found = compare(recorded(), recorded())
    assert [change.name[0] for change in found.changes] == ["cpu", "torch"] * 2
    assert {change.verdict for change in found.changes} == {"no change"}
    assert all(change.speedup.value == 1 for change in found.changes)
    assert found.warnings == ()


def test_half_the_time_is_a_speed_up_of_two(recorded):
    found = compare(recorded(), recorded(0.5))
    for change in found.changes:
        assert change.speedup.value == pytest.approx(2)
        assert change.before_ms == pytest.approx(2 * change.after_ms)
        assert change.verdict == "faster"
    back = compare(recorded(0.5), recorded())
    assert {change.verdict for change in back.changes} == {"slower"}
    row = found.grid().rows[2]
    assert row[:6] == ("cpu", "fp32", "stylize", "vgg16", "512", "1")
    assert row[6:] == ("51.2", "25.6", "2.00 ± 0.10", "faster")


def test_the_times_are_those_of_the_table_and_the_speed_up_is_their_ratio(recorded, make_row):
    rows = [make_row("cpu", [[1, 9], [2, 8], [3, 30]])]
    (change,) = compare(recorded(rows=rows), recorded(0.5, rows=rows)).changes
    assert change.before_ms == rows[0].ms_per_step == 5.5  # the medians of the rounds give 5
    assert change.speedup.value == pytest.approx(change.before_ms / change.after_ms)


def test_rows_that_only_one_has_are_named(recorded, make_row):
    rows = [make_row("cpu", [[1.0]] * 3), make_row("cpu", [[1.0]] * 3, precision="bf16")]
    found = compare(recorded(rows=rows[:1]), recorded(rows=rows[1:]))
    assert found.changes == ()
    assert found.warnings == (
        "Only the first report measured cpu, fp32, stylize, vgg16, 512, 1.",
        "Only the second report measured cpu, bf16, stylize, vgg16, 512, 1.",
    )


def test_other_machines_are_warned_of_and_other_packages_are_not(recorded):
    found = compare(recorded(), recorded(processor="Abacus 3", packages={"nstbatch": "0.2.0"}))
    assert found.warnings == ("The machines differ. processor: Abacus 2 and Abacus 3",)
    found = compare(recorded(), recorded(threads=1))
    assert found.warnings == ("The machines differ. threads: 2 and 1",)


def test_fields_of_later_versions_are_passed_over(report, tmp_path):
    data = json.loads(report.to_json())
    data["future"] = 1
    for row in data["rows"]:
        row["future"] = 1
    path = tmp_path / "later.json"
    path.write_text(json.dumps(data))
    assert len(read_report(path).rows) == len(report.rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("machine"), "no 'machine'"),
        (lambda data: data.update(machine=[]), "'machine' should be an object"),
        (lambda data: data.update(rows={}), "'rows' a list"),
        (lambda data: data["rows"].append(3), r"rows\[8\] should be an object"),
        (lambda data: data["rows"][0].pop("samples_ms"), r"rows\[0\] has no 'samples_ms'"),
        (lambda data: data["rows"][0].update(samples_ms=["x"]), "'samples_ms' of"),
        (lambda data: data["rows"][0].update(samples_ms=7), "'samples_ms' of"),
        (lambda data: data["rows"][0].update(samples_ms=[0.0]), "numbers above 0"),
        (lambda data: data["rows"][0].update(rounds=0), "'rounds' of"),
        (lambda data: data["rows"][0].update(rounds=4), "as many steps in each of 4 rounds"),
    ],
)
def test_what_is_no_report_says_why(report, tmp_path, change, message):
    data = json.loads(report.to_json())
    change(data)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=message):
        read_report(path)


def test_files_that_cannot_be_read_say_why(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json cannot be read: No such file"):
        read_report(tmp_path / "none.json")
    path = tmp_path / "text.json"
    path.write_text("ms/step: 12")
    with pytest.raises(UsageError, match="is not a report of `nstbatch bench --json`"):
        read_report(path)
