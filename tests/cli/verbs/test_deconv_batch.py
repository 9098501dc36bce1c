"""``deconv`` as a batch: its ledger, and the verbs that go by it."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.jobs.invocation import SAVED
from nstbatch.cli.main import run
from nstbatch.cli.output.ledger import NAME
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet
from nstbatch.runtime.errors import ImageError, StoppedError
from nstbatch.runtime.pictures import images, sizes

QUICK = ("--model", "alexnet", "--size", "64", "--device", "cpu", "--threads", "1")
FEW = ("--layer", "relu2", "--filters", "3,7-8")
SHEETS = [f"relu2_filter_{number:04}.png" for number in (3, 7, 8)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    Path("photos").mkdir()
    for index in range(20):
        colours = np.random.default_rng(index).random((9, 11, 3), np.float32)
        images.write(f"photos/{index}.png", sizes.resize(colours, (70, 90)))
    return tmp_path


def deconv(*arguments: str) -> int:
    return run(["deconv", "photos", *QUICK, *arguments])


def ledger(out: str = "deconv") -> list[dict]:
    return [json.loads(line) for line in Path(out, NAME).read_text().splitlines()]


def pictures(out: str = "deconv") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(out).glob("*.png"))}


@pytest.fixture
def failing(monkeypatch):
    """Makes the projection of filter 7 fail, until it is called."""
    project = Deconvnet.project

    def project_all_but_one(self, found, maxima):
        if maxima[0].filter == 7:
            raise ImageError("It is gone.")
        return project(self, found, maxima)

    monkeypatch.setattr(Deconvnet, "project", project_all_but_one)
    return lambda: monkeypatch.setattr(Deconvnet, "project", project)


def test_the_ledger_has_a_line_for_each_sheet():
    assert deconv(*FEW) == 0
    begun, *lines = ledger()
    assert (begun["kind"], begun["verb"], begun["bundle"]["name"]) == ("run", "deconv", "alexnet")
    assert [line["output_in_folder"] for line in lines] == SHEETS
    assert [line["input"] for line in lines] == [f"relu2, filter {n}" for n in (3, 7, 8)]
    assert [line["filter"] for line in lines] == [3, 7, 8]
    assert all(line["status"] == "done" and line["fingerprint"] for line in lines)
    assert deconv(*FEW) == 0
    assert len(ledger()) == 4  # nothing was made, so nothing is added


def test_retry_draws_what_failed_and_the_overview_with_it(failing, capsys):
    assert deconv(*FEW) == 1
    assert sorted(pictures()) == [SHEETS[0], SHEETS[2]]
    failing()
    capsys.readouterr()
    assert run(["retry", "deconv"]) == 0
    assert capsys.readouterr().out.split() == [str(Path("deconv", SHEETS[1]).absolute())]
    assert sorted(pictures()) == [*SHEETS, "relu2_overview.png"]
    assert run(["retry", "deconv"]) == 0
    assert "Nothing has failed" in capsys.readouterr().err


def test_the_recipe_of_a_sheet_makes_it_again(capsys):
    assert deconv(*FEW, "--rule", "guided") == 0
    before = pictures()[SHEETS[1]]
    capsys.readouterr()
    assert run(["recipe", str(Path("deconv", SHEETS[1]))]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert words[:2] == ["nstbatch", "deconv"]
    assert words[words.index("--filters") + 1] == "7"
    assert run([*words[1:], "-o", "again"]) == 0
    assert pictures("again") == {SHEETS[1]: before}


def test_the_report_shows_every_sheet(capsys):
    assert deconv(*FEW, "--report") == 0
    page = Path("deconv/report.html").read_text(encoding="utf-8")
    assert all(name in page for name in SHEETS)
    Path("deconv/report.html").unlink()
    assert run(["report", "deconv"]) == 0
    assert Path("deconv/report.html").is_file()


def test_the_settings_file_of_a_folder_makes_the_same_sheets_elsewhere():
    assert deconv(*FEW, "--rule", "gradient") == 0
    assert run(["deconv", "--config", str(Path("deconv", SAVED)), "photos", "-o", "again"]) == 0
    assert pictures("again") == pictures()


def test_a_comparison_has_a_settings_file_too():
    assert deconv("--compare", "alexnet", "squeezenet1_1") == 0
    assert run(["deconv", "photos", "--config", str(Path("deconv", SAVED)), "-o", "again"]) == 0
    assert pictures("again").keys() == {"compare.png"}


def test_names_and_formats():
    options = ("--name", "{layer}-{filter}-{model}-{index}", "--format", "jpg")
    assert deconv(*FEW, *options) == 0
    found = sorted(path.name for path in Path("deconv").glob("*.jpg"))
    assert found == [
        "relu2-3-alexnet-1.jpg",
        "relu2-7-alexnet-2.jpg",
        "relu2-8-alexnet-3.jpg",
        "relu2_overview.jpg",
    ]
    assert deconv(*FEW, *options, "--rule", "guided", "--overwrite") == 0
    assert len(list(Path("deconv").glob("*.jpg"))) == 4


def test_fail_fast_stops_at_the_first_failure(failing):
    assert deconv(*FEW, "--fail-fast") == 1
    assert list(pictures()) == [SHEETS[0]]


def test_strip_writes_pixels_alone():
    assert deconv(*FEW, "--strip", "-o", "bare") == 0
    assert deconv(*FEW) == 0
    for name in SHEETS:
        bare, whole = Path("bare", name), Path("deconv", name)
        assert bare.stat().st_size < whole.stat().st_size
        np.testing.assert_array_equal(images.read(bare).pixels, images.read(whole).pixels)


def test_ctrl_c_ends_the_pass_over_the_images(monkeypatch, capsys):
    def interrupted(self, *arguments, **options):
        raise StoppedError

    monkeypatch.setattr(Deconvnet, "search", interrupted)
    assert deconv(*FEW) == 130
    assert "to go on: nstbatch deconv photos" in capsys.readouterr().err


def test_ctrl_c_while_an_overview_is_drawn_says_how_to_resume(monkeypatch, capsys):
    assert deconv(*FEW) == 0
    Path("deconv/relu2_overview.png").unlink()
    capsys.readouterr()

    def interrupted(self, found, maxima):
        raise StoppedError

    monkeypatch.setattr(Deconvnet, "project", interrupted)
    assert deconv(*FEW) == 130
    assert "to go on: nstbatch deconv photos" in capsys.readouterr().err


def test_a_batch_killed_three_times_makes_the_same_sheets_and_none_twice():
    options = ("--layer", "relu2", "--filters", "0-40")
    command = [sys.executable, "-m", "nstbatch", "deconv", "photos", *QUICK, *options]
    printed: list[str] = []
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            printed += [program.stdout.readline().strip() for _ in range(4)]
            program.send_signal(signal.SIGKILL)
            printed += program.communicate(timeout=120)[0].split()
        assert program.returncode == -signal.SIGKILL
    assert deconv(*options) == 0
    assert deconv(*options, "-o", "whole") == 0
    assert pictures() == pictures("whole")
    made = [line["output"] for line in ledger() if line["kind"] == "image"]
    assert len(made) == len(set(made)) == 41
    assert len(printed) == len(set(printed))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((*FEW, "--name", "{stem}-{style}"), "Unknown field in the name"),
        (("--compare", "alexnet", "vgg16", "--name", "x"), "--name is for sheets of filters"),
    ],
)
def test_a_wrong_name_is_found_before_the_pass(options, message, capsys):
    assert deconv(*options) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "passing over" not in err


def test_another_size_is_told_as_such(capsys):
    assert deconv("--compare", "alexnet", "squeezenet1_1") == 0
    assert deconv("--compare", "alexnet", "squeezenet1_1", "--size", "96") == 2
    assert "made with another --size (64, now 96)" in capsys.readouterr().err


def test_a_process_that_is_slower_leaves_the_sheets_of_a_faster_one(monkeypatch):
    """Both passed over the images; the second one finds that the first has drawn meanwhile."""
    search = Deconvnet.search

    def overtaken(self, *arguments, **options):
        found = search(self, *arguments, **options)
        monkeypatch.setattr(Deconvnet, "search", search)
        assert deconv(*FEW) == 0
        return found

    monkeypatch.setattr(Deconvnet, "search", overtaken)
    assert deconv(*FEW) == 0
    made = [line["output"] for line in ledger() if line["kind"] == "image"]
    assert len(made) == len(SHEETS)
