"""Batches whose results lie among the photos: each is run twice, interrupted, and continued."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.cli.output.ledger import NAME

QUICK = ("--model", "squeezenet1_1", "--size", "32", "--iterations", "1", "--device", "cpu")
STYLIZE = ("stylize", "-s", "style.png", "--scales", "1", *QUICK)
DREAM = ("dream", "--octaves", "1", *QUICK)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Two photos, one of them in a subfolder, and a style beside the folder."""
    monkeypatch.chdir(tmp_path)
    Image.radial_gradient("L").convert("RGB").resize((48, 48)).save("style.png")
    photo("photos/a.jpg")
    photo("photos/May/b.jpg")
    return tmp_path


def photo(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").convert("RGB").resize((80, 72)).save(path)


def painted(capsys, *words: str) -> list[str]:
    """Run a command that succeeds, and return the pictures that it made."""
    assert run([*words]) == 0, capsys.readouterr().err
    return sorted(Path(line).as_posix() for line in capsys.readouterr().out.splitlines())


def files(folder: str = "photos") -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.*"))
    return sorted(name for name in found if "nstbatch" not in name)


def test_in_the_folder_of_the_photos(capsys):
    in_place = (*STYLIZE, "photos", "-r", "-o", "photos")
    assert painted(capsys, *in_place, "--name", "{stem}_x") == [
        "photos/May/b_x.jpg",
        "photos/a_x.jpg",
    ]
    assert run([*in_place, "--name", "{stem}_x"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "Left out: 2 pictures (photos/May/b_x.jpg, ...) made by nstbatch." in err
    assert "0 pictures done, 2 already there" in err
    assert painted(capsys, *in_place, "--name", "{stem}_y") == [
        "photos/May/b_y.jpg",
        "photos/a_y.jpg",
    ]
    assert files() == ["May/b.jpg", "May/b_x.jpg", "May/b_y.jpg", "a.jpg", "a_x.jpg", "a_y.jpg"]
    # The folder that a part of the pictures lies in, and a single picture that is named.
    assert painted(capsys, *STYLIZE, "photos/May", "-o", "other") == ["other/b.jpg"]
    assert painted(capsys, *STYLIZE, "photos/a_x.jpg", "-o", "other") == ["other/a_x.jpg"]


def test_in_a_folder_of_the_tree_with_further_styles_and_verbs(capsys):
    tree = (*STYLIZE, ".", "-r", "--exclude", "style.png")
    first = painted(capsys, *tree, "-o", "painted")
    assert first == ["painted/photos/May/b.jpg", "painted/photos/a.jpg"]
    assert painted(capsys, *tree, "-o", "painted") == []
    second = painted(capsys, *tree, "-o", "photos/second")
    assert second == ["photos/second/photos/May/b.jpg", "photos/second/photos/a.jpg"]
    dreamed = painted(capsys, *DREAM, ".", "-r", "--exclude", "style.png", "-o", "dreamed")
    assert dreamed == ["dreamed/photos/May/b.jpg", "dreamed/photos/a.jpg"]
    assert painted(capsys, *tree, "-o", "painted") == []
    # The folder of results alone has no photo, and says what to do.
    assert run([*DREAM, "painted", "-r", "-o", "again"]) == 3
    err = capsys.readouterr().err
    assert "No photo was found in painted.\n" in err
    assert "Left out: 2 pictures (painted/photos/May/b.jpg, ...) made by nstbatch. " in err
    assert "To take such pictures, name them: 'painted/photos/May/*.jpg'." in err
    assert painted(capsys, *DREAM, "painted/photos/*.jpg", "-o", "again") == ["again/a.jpg"]


@pytest.mark.parametrize("options", [("-o", "photos", "--name", "{stem}_x"), ("-o", "photos/out")])
def test_an_interrupted_batch_goes_on_with_the_command_that_it_prints(folder, options, capsys):
    for number in range(6):
        photo(f"photos/{number}.jpg")
    before = files()
    words = [*STYLIZE, "photos", "-r", *options, "--iterations", "60", "--size", "96"]
    process = subprocess.Popen(
        [sys.executable, "-m", "nstbatch", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    (line,) = (line for line in err.splitlines() if line.startswith("to go on: "))
    made = {path: path.stat().st_mtime_ns for path in map(Path("photos").joinpath, files())}
    assert len(before) < len(made) < 2 * len(before)
    resume = shlex.split(line.removeprefix("to go on: nstbatch"))
    assert len(painted(capsys, *resume)) == 2 * len(before) - len(made)
    assert len(files()) == 2 * len(before)
    assert all(path.stat().st_mtime_ns == time for path, time in made.items())
    assert painted(capsys, *resume) == []


def test_a_picture_whose_line_was_lost_in_a_kill_is_no_photo(capsys):
    """As after SIGKILL between the picture's name and its line: only the intent tells of it."""
    in_place = (*STYLIZE, "photos", "-o", "photos", "--name", "{stem}_x")
    assert painted(capsys, *in_place) == ["photos/a_x.jpg"]
    ledger = Path("photos", NAME)
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:-1]))
    Path("photos/.nstbatch").mkdir()
    Path("photos/.nstbatch/0123.json").write_text(lines[-1])
    Path("photos/.nstbatch/0123.lock").touch()
    assert painted(capsys, *in_place) == []
    assert files() == ["May/b.jpg", "a.jpg", "a_x.jpg"]


def test_photos_with_the_names_of_results_are_not_overwritten(capsys):
    photo("photos/a_x.jpg")
    before = Path("photos/a_x.jpg").read_bytes()
    in_place = [*STYLIZE, "photos", "-o", "photos", "--name", "{stem}_x"]
    assert run([*in_place, "--overwrite"]) == 2
    assert "photos/a_x.jpg would overwrite an input file" in capsys.readouterr().err
    assert Path("photos/a_x.jpg").read_bytes() == before


def test_a_result_that_another_program_has_changed_stays_a_result(capsys):
    """A photo manager that writes keywords into all files must not turn results into photos."""
    in_place = (*STYLIZE, "photos", "-o", "photos", "--name", "{stem}_x")
    assert painted(capsys, *in_place) == ["photos/a_x.jpg"]
    with Path("photos/a_x.jpg").open("ab") as file:
        file.write(b"five stars")
    assert run([*in_place]) == 0
    assert "The picture was changed after it was painted" in capsys.readouterr().err
    assert painted(capsys, *STYLIZE, "photos", "-o", "other") == ["other/a.jpg"]


def test_names_that_a_shell_repeats(capsys):
    """``*.jpg`` names the results of the first run in the second."""
    words = [*STYLIZE, "-o", "photos", "--name", "{stem}_x"]
    assert painted(capsys, *words, "photos/a.jpg") == ["photos/a_x.jpg"]
    assert painted(capsys, *words, "photos/a.jpg", "photos/a_x.jpg") == []
    assert painted(capsys, *words, "photos/*.jpg") == []
    assert files() == ["May/b.jpg", "a.jpg", "a_x.jpg"]


def test_names_that_a_shell_repeats_where_a_result_would_become_itself(capsys):
    """With ``--format png``, the photo and its own result both become the result."""
    words = [*STYLIZE, "-o", "photos", "--format", "png", "photos/*.[jp][pn]g"]
    assert painted(capsys, *words) == ["photos/a.png"]
    assert painted(capsys, *words) == []
    assert files() == ["May/b.jpg", "a.jpg", "a.png"]


def test_textures_films_and_sheets_are_results_too(capsys):
    texture = ("texture", "photos", "-o", "photos", "--scales", "1", *QUICK)
    assert painted(capsys, *texture) == ["photos/a.png"]
    assert painted(capsys, *texture) == []
    film = (*DREAM, "photos", "-r", "-o", "photos", "--frames", "2", "--video", "gif")
    assert painted(capsys, *film) == ["photos/May/b.gif", "photos/a.gif"]
    assert painted(capsys, *film) == []
    deconv = ("deconv", "photos", "-r", "-o", "photos", "-l", "relu_conv1", "--filters", "0-1")
    deconv += ("--model", "squeezenet1_1", "--size", "64", "--device", "cpu")
    for number in range(9):
        photo(f"photos/{number}.jpg")
    photo("photos/relu_conv1_overview.png")
    assert run([*deconv]) == 2
    assert "photos/relu_conv1_overview.png would overwrite an input" in capsys.readouterr().err
    Path("photos/relu_conv1_overview.png").unlink()
    Path("photos/deconv.json").unlink()  # of the images with that photo
    photo("photos/relu_conv1_filter_of_mine.jpg")
    sheets = painted(capsys, *deconv)
    assert len(sheets) == 2
    assert Path("photos/relu_conv1_overview.png").is_file()
    Path("photos/relu_conv1_filter_of_mine.jpg").unlink()
    assert painted(capsys, *deconv, "--overwrite") == sheets
    assert painted(capsys, *deconv) == []
    assert (
        run([*deconv, "--name", "{filter}", "--format", "jpg", "--overwrite"]) == 2
    )  # photos are named like that
    assert "photos/0.jpg would overwrite an input file" in capsys.readouterr().err
    others = painted(capsys, *STYLIZE, "photos", "-r", "-o", "other")
    assert sorted(Path(name).name for name in others) == [
        *(f"{number}.jpg" for number in range(9)),
        "a.jpg",
        "b.jpg",
    ]


def longest_side(path: str | Path) -> int:
    with Image.open(path) as image:
        return max(image.size)


def test_snapshots_are_results_too(capsys):
    photo("photos/mine.jpg.snapshots/1.jpg")
    in_place = ("-r", "-o", "photos", "--name", "{stem}_x", "--snapshots", "3")
    stylize = (*STYLIZE, "photos", *in_place, "--iterations", "4", "--format", "webp")
    three = [f"photos/a_x.webp.snapshots/00000{number}.webp" for number in (1, 2, 3)]
    pictures = ["photos/May/b_x.webp", "photos/a_x.webp", "photos/mine.jpg.snapshots/1_x.webp"]
    assert painted(capsys, *stylize) == pictures
    assert (
        sorted(path.as_posix() for path in Path("photos/a_x.webp.snapshots").glob("[!.]*")) == three
    )
    assert {longest_side(path) for path in three} == {32}
    before = Path(three[0]).read_bytes()
    assert before != Path(three[2]).read_bytes()
    # Without them, or with another number, the pictures are the same ones.
    assert painted(capsys, *stylize, "--snapshots", "0") == []
    assert Path(three[0]).read_bytes() == before
    assert painted(capsys, *stylize, "--overwrite", "--snapshots", "1") == pictures
    assert list(Path("photos/a_x.webp.snapshots").glob("[!.]*")) == [Path(three[0])]
    assert painted(capsys, *stylize, "--overwrite", "--snapshots", "0") == pictures
    assert not Path("photos/a_x.webp.snapshots").exists()
    assert Path("photos/mine.jpg.snapshots/1.jpg").is_file()
    # A single picture, and the other verbs.
    words = ("--snapshots", "2", "--iterations", "3")
    assert painted(capsys, *STYLIZE, "photos/a.jpg", "-o", "one.png", *words) == ["one.png"]
    assert files("one.png.snapshots") == [".made-from", "000001.png", "000002.png"]
    one_size = {"texture": ["--scales", "1"], "dream": ["--octaves", "1"], "reconstruct": []}
    for verb, more in one_size.items():
        quick = (*QUICK, *words, "-o", verb, "--size", "64")
        (made,) = painted(capsys, verb, "photos/a.jpg", *quick, *more)
        taken = sorted(Path(f"{made}.snapshots").glob("[!.]*"))
        assert [path.name for path in taken] == [f"00000{n}{Path(made).suffix}" for n in (1, 2)]
        assert longest_side(taken[-1]) == 64


def test_retry_makes_the_failed_ones_in_place(capsys):
    Path("photos/c.jpg").touch()
    words = [*STYLIZE, "photos", "-o", "photos", "--name", "{stem}_x"]
    assert run(words) == 1
    photo("photos/c.jpg")
    assert run(["retry", "photos"]) == 0
    assert files() == ["May/b.jpg", "a.jpg", "a_x.jpg", "c.jpg", "c_x.jpg"]
    assert run(["report", "photos"]) == 0


def test_a_file_beside_a_photo_is_not_overwritten_by_that_of_a_sheet(capsys):
    """As those that Google Takeout puts beside photos."""
    Path("photos/a.json").write_text('{"title": "a.jpg", "geoData": {}}')
    reconstruct = ("reconstruct", "photos", "-o", "photos", "--layers", "conv1", *QUICK)
    assert run([*reconstruct]) == 1
    assert "photos/a.json is there already, and was not made by" in capsys.readouterr().err
    assert Path("photos/a.json").read_text().startswith('{"title"')
    assert painted(capsys, *reconstruct, "--name", "{stem}_layers") == ["photos/a_layers.png"]
    assert painted(capsys, *reconstruct, "--name", "{stem}_layers") == []
    assert painted(capsys, *reconstruct, "--name", "{stem}_layers", "--overwrite") != []
