"""The command for a machine with a GPU, tested on one without."""

import json

import pytest

from nstbatch.benchmarks import gpu_checks
from nstbatch.benchmarks.gpu.probes import CHECKS, Check, CheckJob, run_check
from nstbatch.benchmarks.gpu.progress import Deadline, Results, results_so_far
from nstbatch.benchmarks.gpu.speed import SpeedJob
from nstbatch.benchmarks.gpu_checks import checks_grid, main, speed_grid
from nstbatch.benchmarks.reports.report import Case, Report, Row
from nstbatch.benchmarks.tasks.turns import OutOfTimeError
from nstbatch.runtime.devices.devices import Finding
from nstbatch.runtime.errors import UsageError

QUICK = ["--devices", "cpu", "--model", "alexnet", "--check-size", "64", "--check-steps", "12"]


@pytest.fixture
def no_gpu(monkeypatch):
    def check(device):
        usable = device == "cpu"
        return Finding(device, usable, "all of it" if usable else "no [driver]", None, ("fp32",))

    monkeypatch.setattr(gpu_checks, "check", check)


def test_without_a_gpu_it_says_so_and_writes_nothing(no_gpu, tmp_path, capsys):
    out = tmp_path / "results.json"
    assert main(["--out", str(out)]) == 3
    printed = capsys.readouterr()
    assert "cuda: no [driver]." in printed.err
    assert "tensorrt: no [driver]." in printed.err
    assert "no GPU to check" in printed.err
    assert not printed.out
    assert not out.exists()


def run_in_turn(job, patience):
    """One check in its own process, the others here: a process takes seconds to start."""
    return run_check(job, patience) if job.name == "parity-fp32" else CHECKS[job.name](job)


def test_checks_and_speeds_go_into_one_json_and_tables(no_gpu, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu_checks, "run_check", run_in_turn)
    out = tmp_path / "results.json"
    measured = ["--sizes", "64", "--batches", "1", "--rounds", "2", "--steps", "1"]
    measured += ["--warm-up", "1", "--against", "torch,torch-graph"]
    assert main([*QUICK, "--out", str(out), *measured]) == 0
    results = json.loads(out.read_text())
    assert [(c["name"], c["status"]) for c in results["checks"]] == [
        ("trial", "skipped"),
        ("parity-fp16", "passed"),
        ("parity-fp32", "passed"),
        ("cuda-graphs", "skipped"),
        ("cuda-graphs-lbfgs", "skipped"),
        ("kernels", "skipped"),
        ("kernels-lbfgs", "skipped"),
        ("tileable-texture", "passed"),
        ("guided-dream", "passed"),
        ("class-picture", "passed"),
        ("nan-freedom", "passed"),
        ("nan-freedom-lbfgs", "passed"),
    ]
    assert {check["device"] for check in results["checks"]} == {"cpu"}
    rows = {row["provider"]: row for row in results["rows"]}
    assert rows["cpu"]["status"] == rows["torch"]["status"] == "done"
    assert rows["cpu"]["ratio"].keys() == {"torch"}
    assert rows["cpu"]["loss"] == pytest.approx(rows["torch"]["loss"], rel=1e-3)
    assert rows["torch-graph"]["status"] == "absent"
    assert "GPU only" in rows["torch-graph"]["reason"]
    assert results["machine"]["cores"] >= 1
    printed = capsys.readouterr().out
    assert "gradient_cosine" in printed
    assert "absent: a CUDA graph is recorded on a GPU only" in printed
    assert main(["--out", str(out), "--markdown"]) == 0
    shown = capsys.readouterr().out
    assert "| parity-fp16 | cpu | fp16 | passed | loss_error" in " ".join(shown.split())
    assert "| torch | fp32 | 64 | 1 |" in " ".join(shown.split())


def test_a_check_that_failed_is_the_exit_status(no_gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(
        gpu_checks,
        "run_check",
        lambda job, left: Check(job.name, job.device, "fp16", "failed", "bad"),
    )
    out = tmp_path / "results.json"
    assert main([*QUICK, "--out", str(out), "--rounds", "0", "--checks", "nan-freedom"]) == 1
    (check,) = json.loads(out.read_text())["checks"]
    assert (check["status"], check["reason"]) == ("failed", "bad")


class Stopwatch:
    """Checks and rows that take no time, up to a number of them; then the time is over."""

    def __init__(self, monkeypatch, out):
        self.left, self.made, self.on_disk = 99, [], []
        self.out = out
        monkeypatch.setattr(gpu_checks, "run_check", self.check)
        monkeypatch.setattr(SpeedJob, "row", lambda job, left: self.row(job))

    def take(self, name):
        if self.out.exists():
            record = json.loads(self.out.read_text())
            self.on_disk.append(len(record["checks"]) + len(record["rows"]))
        if not self.left:
            raise OutOfTimeError
        self.left -= 1
        self.made.append(name)

    def check(self, job, patience):
        self.take(job.name)
        return Check(job.name, job.device, "fp16", "passed", None, {"loss": 1.5})

    def row(self, job):
        self.take(job.name)
        speed = 2.0 if job.name == "cpu" else 4.0
        return Row(job.name, job.precision, job.case, rounds=1, samples_ms=(speed, speed))


def test_it_writes_after_each_and_goes_on_where_it_was(no_gpu, monkeypatch, tmp_path, capsys):
    out = tmp_path / "results.json"
    command = [*QUICK, "--out", str(out), "--checks", "nan-freedom,parity-fp16"]
    command += ["--sizes", "64", "--batches", "1", "--against", "torch", "--minutes", "10"]
    watch = Stopwatch(monkeypatch, out)
    watch.left = 3
    assert main(command) == 4
    assert watch.made == ["parity-fp16", "cpu", "torch"]
    assert watch.on_disk == [1, 2, 3]
    assert "goes on from here" in capsys.readouterr().err
    watch.left = 99
    assert main(command) == 0
    assert watch.made[3:] == ["nan-freedom"]
    record = json.loads(out.read_text())
    assert [row["ratio"] for row in record["rows"]] == [{"torch": 2.0}, {}]
    assert [check["values"] for check in record["checks"]] == [{"loss": 1.5}] * 2
    assert main(command) == 0  # nothing is left
    assert len(watch.made) == 4
    with pytest.raises(SystemExit):
        main([*command, "--steps", "7"])
    assert "other options" in capsys.readouterr().err


def test_what_alone_takes_all_the_time_has_failed(no_gpu, monkeypatch, tmp_path):
    """Else each further run would try it again, and nothing would come after it."""
    out = tmp_path / "results.json"
    command = [*QUICK, "--out", str(out), "--rounds", "0", "--checks", "nan-freedom,parity-fp16"]
    Stopwatch(monkeypatch, out).left = 0
    assert main([*command, "--minutes", "0.5"]) == 1
    checks = json.loads(out.read_text())["checks"]
    assert [(c["name"], c["status"]) for c in checks] == [("parity-fp16", "failed")]
    assert checks[0]["reason"] == "it did not end within 0.5 minutes"


def test_a_check_ends_in_time():
    with pytest.raises(OutOfTimeError):
        run_check(CheckJob("nan-freedom", "cpu", "alexnet", 64, 10**9, 1, "cpu"), 0.5)
    assert Deadline().left is None
    assert Deadline(1).left == pytest.approx(60, abs=5)
    assert Deadline(1e-9).left == 0


def test_another_file_is_not_overwritten(tmp_path):
    out = tmp_path / "results.json"
    out.write_text("[]")
    with pytest.raises(UsageError, match="no results of this command"):
        results_so_far(out, Results((), Report({}, {}, ())))


def test_the_most_telling_comes_first(no_gpu, monkeypatch, tmp_path):
    out = tmp_path / "results.json"
    watch = Stopwatch(monkeypatch, out)
    command = [*QUICK, "--out", str(out), "--checks", "nan-freedom,kernels,parity-fp16"]
    assert main([*command, "--sizes", "64,32", "--batches", "1", "--against", "torch"]) == 0
    rows = ["cpu", "torch"]
    assert watch.made == ["parity-fp16", *rows, "kernels", *rows, "nan-freedom"]


def test_markdown_needs_results(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "results.json"), "--markdown"])
    assert "no results of this command" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--devices", "abacus"], "cuda, tensorrt and cpu"),
        (["--devices", "cpu", "--minutes", "0"], "above 0"),
        (["--devices", "cpu", "--sizes", "big"], "whole numbers"),
        (["--devices", "cpu", "--checks", "parity"], "parity-fp32"),
        (["--devices", "cpu", "--against", "tensorflow"], "torch-graph"),
        (["--devices", "cpu", "--model", "vgg61"], "vgg16"),
    ],
)
def test_wrong_usage_names_what_is_right(no_gpu, tmp_path, capsys, options, complaint):
    with pytest.raises(SystemExit) as raised:
        main(["--out", str(tmp_path / "results.json"), *options])
    assert raised.value.code == 2
    assert complaint in " ".join(capsys.readouterr().err.split())


def test_tables_have_a_row_for_everybody():
    case = Case("stylize", "vgg16", 2048, 16)
    rows = [
        Row("cuda", "fp16", case, ms_per_step=10.0, images_per_second=1600.0, rounds=1,
            ratio={"torch-graph": 1.5}, ratio_interval={"torch-graph": (1.4, 1.6)}),
        Row("torch-graph", "fp16", case, "skipped", "it needs about 200 GB"),
    ]  # fmt: skip
    grid = speed_grid(rows)
    assert grid.titles[-2:] == ("x torch-graph", "status")
    assert grid.rows[0][-2:] == ("1.50 ± 0.10", "done")
    assert grid.rows[1][-1] == "skipped: it needs about 200 GB"
    checks = (Check("nan-freedom", "cuda", "fp16", "passed", None, {"last": 1.25}),)
    assert checks_grid(checks).rows == (
        ("nan-freedom", "cuda", "fp16", "passed", "last 1.25", "-"),
    )
    record = json.loads(Results(checks, Report({}, {}, tuple(rows))).to_json())
    assert record["checks"][0]["values"] == {"last": 1.25}
    assert [row["status"] for row in record["rows"]] == ["done", "skipped"]
