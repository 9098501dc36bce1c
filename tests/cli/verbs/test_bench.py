"""``nstbatch bench``: a tiny real run, and commands with wrong options."""

import json

import pytest

from nstbatch.cli.main import run
from nstbatch.runtime.devices import providers

TINY = ["bench", "--model", "squeezenet1_1", "--sizes", "48", "--threads", "1"]
TINY += ["--rounds", "2", "--steps", "1", "--warm-up", "2"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The exit code of a run, and the files it wrote."""
    folder = tmp_path_factory.mktemp("bench")
    files = {name: folder / f"report.{name}" for name in ("json", "markdown")}
    files["plot"] = folder / "report.png"
    arguments = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    return run([*TINY, "--against", "torch", *arguments]), files


def test_a_run_succeeds_whatever_is_absent(measured):
    code, files = measured
    assert code == 0
    rows = json.loads(files["json"].read_text())["rows"]
    names = ["cpu", "openvino", "cuda", "tensorrt", "tensorrt-rtx", "torch"]
    assert [row["provider"] for row in rows] == names
    for row in rows[:4]:
        finding = providers.check(row["provider"])
        assert (row["status"] == "done") is finding.usable
        assert finding.usable or finding.detail in row["reason"]


def test_what_was_measured_makes_sense(measured):
    report = json.loads(measured[1]["json"].read_text())
    rows = {row["provider"]: row for row in report["rows"]}
    cpu, torch = rows["cpu"], rows["torch"]
    for row in (cpu, torch):
        assert row["status"] == "done"
        assert len(row["samples_ms"]) == 2
        assert row["p95_ms"] >= row["ms_per_step"] > 0
        assert row["peak_bytes"] > 2**24
        assert row["share_of_peak"] > 0
        assert row["start_seconds"] > row["ms_per_step"] / 1000
    # At least the first convolution's maps, 64 channels at half the size; a baseline has no graph.
    assert cpu["activation_bytes"] > 4 * 64 * 24**2
    assert torch["activation_bytes"] is None
    assert cpu["ratio"].keys() == cpu["ratio_interval"].keys() == {"torch"}
    assert torch["max_difference"] == 0
    assert cpu["loss"] == pytest.approx(torch["loss"], rel=1e-3)
    assert cpu["precision"] == torch["precision"] == "fp32"
    assert report["stages"][0]["provider"] == "cpu"
    assert report["stages"][0]["seconds"]["steps"] > 0


def test_the_other_files_hold_the_same(measured):
    files = measured[1]
    assert "| openvino | " in files["markdown"].read_text()
    assert files["plot"].read_bytes().startswith(b"\x89PNG")
    folder = files["json"].parent
    assert len(list(folder.iterdir())) == 3  # no temporary file is left


def test_reports_are_compared(measured, tmp_path, capsys):
    path = str(measured[1]["json"])
    assert run(["bench", "compare", path, path]) == 0
    lines = capsys.readouterr().out.splitlines()
    (cpu,) = [line.split() for line in lines if line.split()[:1] == ["cpu"]]
    assert cpu[2:6] == ["stylize", "squeezenet1_1", "48", "1"]
    assert cpu[-5:] == ["1.00", *cpu[-4:-2], "no", "change"]


def test_reports_of_other_machines_are_compared_with_a_warning(measured, tmp_path, capsys):
    data = json.loads(measured[1]["json"].read_text())
    data["machine"]["processor"] = "Abacus\x1b[2J"
    data["rows"] = [row | {"size": 4096} for row in data["rows"]]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(data))
    assert run(["bench", "compare", str(measured[1]["json"]), str(other)]) == 0
    shown = capsys.readouterr()
    assert "no row in common" in shown.out
    assert "The machines differ. processor" in shown.err
    assert "\x1b" not in shown.err


@pytest.fixture
def reported(report_of_nothing, monkeypatch):
    """A stand-in for a benchmark that ends at once."""
    monkeypatch.setattr(
        "nstbatch.benchmarks.contest.contest.run", lambda options, tell: report_of_nothing(options)
    )


@pytest.fixture
def report_of_nothing():
    from nstbatch.benchmarks.reports.report import Case, Report, Row

    def make(options):
        machine = {"processor": "Abacus", "cores": 1, "gpu": None}
        settings = {"verb": options.verb, "model": options.model, "threads": 1}
        settings |= {"rounds": options.rounds, "steps": options.steps}
        case = Case(options.verb, options.model, options.sizes[0], options.batches[0])
        return Report(machine, settings, (Row("cuda", None, case, "absent", "no \x1b[1mGPU"),))

    return make


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_standard_output_is_for_other_programs_where_they_want_it(reported, capsys, option):
    assert run([*TINY, option, "-"]) == 0
    shown = capsys.readouterr()
    if option == "--json":
        assert json.loads(shown.out)["rows"][0]["provider"] == "cuda"
    else:
        assert shown.out.splitlines()[2].startswith("| provider |")
    assert "cuda is absent: no \\x1b[1mGPU" in shown.err


def test_the_table_goes_to_standard_output_otherwise(reported, capsys):
    assert run(TINY) == 0
    shown = capsys.readouterr()
    assert "provider" in shown.out
    assert "cuda is absent" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--verb", "paint"], "Unknown verb 'paint'"),
        (["--providers", "cuba"], "Did you mean 'cuda'"),
        (["--against", "jax"], "Unknown baseline 'jax'"),
        (["--sizes", "small"], "--sizes takes whole numbers"),
        (["--batch", "0"], "batches must be a whole number of at least 1"),
        (["--providers", "", "--against", ""], "nothing to measure"),
        (["--json", "-", "--markdown", "-"], "cannot both go to standard output"),
        (["--json", "no/such/folder.json"], "no such folder"),
        (["--markdown", "."], "it is a folder"),
        (["--plot", "plot.txt"], "No plot can be drawn as '.txt'"),
        (["--model", "vgg61"], "Unknown model 'vgg61'"),
        (["--sizes", "8"], "--sizes: The picture is 8x8 pixels"),
    ],
)
def test_wrong_usage_is_found_before_anything_is_measured(
    monkeypatch, tmp_path, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nstbatch.benchmarks.contest.contest.Worker", None)
    assert run([*TINY, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_measurement_do_not_go_with_a_comparison(measured, capsys):
    path = str(measured[1]["json"])
    assert run(["bench", "--rounds", "3", "-q", "compare", path, path]) == 2
    shown = capsys.readouterr()
    assert "bench compare measures nothing: leave out --rounds, --quiet." in shown.err
    assert shown.out == ""


def test_a_report_that_cannot_be_read_is_wrong_usage(tmp_path, capsys):
    assert run(["bench", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert "a.json cannot be read" in capsys.readouterr().err


def test_presets_and_losses_are_compared(monkeypatch, tmp_path, capsys):
    from nstbatch.benchmarks.styles import contest

    two = [way for way in contest.ways(48) if way.name in ("preset default", "nnst fast")]
    monkeypatch.setattr(contest, "ways", lambda size: two)
    words = ["--providers", "cpu", "--size", "48", "--model", "squeezenet1_1", "--threads", "1"]
    words += ["--rounds", "1", "--steps", "1", "--warm-up", "1", "--json", str(tmp_path / "a.json")]
    assert run(["bench", "styles", *words]) == 0
    shown = capsys.readouterr()
    assert "nnst fast" in shown.out
    assert "starting nnst fast on cpu" in shown.err
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert [row["status"] for row in rows] == ["done", "done"]
    assert run(["bench", "styles", "--rounds", "0"]) == 2
