"""Pictures, ledger and claims stay consistent if the process is killed at any step."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.jobs.invocation import Call, Invocation
from nstbatch.cli.jobs.painting import BatchStoppedError, Outcome, Painting, Status
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.output import local_place
from nstbatch.cli.output.fingerprint import Hashed, Origin
from nstbatch.cli.output.output_folder import NetworkRecord, OutputFolder
from nstbatch.runtime.devices.devices import installed_versions
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.files import temporary_name
from nstbatch.runtime.pictures import images

GREY = np.full((4, 6, 3), 0.5, np.float32)
PAINTING = Painting(GREY, None, {"total": 2.5}, 7, "cpu", "fp32", {".json": b"{}"})
OUT = Path("out")
JOB = Job(Path("photos/a.png"), OUT / "deep/a.png")
DONE = Outcome(JOB.input, JOB.output, Status.DONE, steps=7, losses={"total": 2.5})
MADE_FROM = ("f" * 64, Hashed("1" * 64, (1, 2, 3)))


class KilledError(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def keep(out: Path = OUT) -> None:
    with OutputFolder(out) as folder, folder.claim(JOB) as claim:
        folder.keep(claim, JOB, PAINTING, DONE, MADE_FROM, [[0, 9.0], [7, 2.5]])


def lines() -> list[dict]:
    return [json.loads(line) for line in (OUT / "nstbatch.jsonl").read_text().splitlines()]


def files() -> list[str]:
    return sorted(path.relative_to(OUT).as_posix() for path in OUT.rglob("*") if path.is_file())


FINISHED = ["deep/a.json", "deep/a.png", "nstbatch.jsonl"]


def test_a_picture_and_its_line():
    keep()
    assert files() == FINISHED
    (line,) = lines()
    stamp = line.pop("output_stamp")
    assert stamp[0] == JOB.output.stat().st_size
    assert len(line.pop("run")) == 12
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "kind": "image",
        "fingerprint": "f" * 64,
        **DONE.record(),
        "output_in_folder": "deep/a.png",
        "input_sha256": "1" * 64,
        "input_stamp": [1, 2, 3],
        "output_sha256": hashlib.sha256(JOB.output.read_bytes()).hexdigest(),
        "curve": [[0, 9.0], [7, 2.5]],
        "width": 6,
        "height": 4,
    }


def test_the_line_about_a_run(monkeypatch):
    settings = {"style": "monet.jpg", "size": 512}
    invocation = Invocation("stylize", settings, Call(("stylize", "a.png", "-s", "monet.jpg")))
    origin = Origin("stylize", settings, {"style": "5" * 64})
    with OutputFolder(OUT) as folder:
        folder.begin(invocation, origin, NetworkRecord("vgg16", {"weights.safetensors": "6" * 64}))
    (line,) = lines()
    found = {"nstbatch", "python", *installed_versions()}
    assert line.pop("versions").keys() == found >= {"onnxruntime"}
    assert line.pop("run") == folder.run
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "kind": "run",
        "verb": "stylize",
        "command": ["nstbatch", "stylize", "a.png", "-s", "monet.jpg"],
        "cwd": str(Path.cwd()),
        "settings": settings,
        "style": "monet.jpg",
        "files": {"style": "5" * 64},
        "bundle": {"name": "vgg16", "sha256": {"weights.safetensors": "6" * 64}},
    }


# ---- killed between any two steps -------------------------------------------------------------


def kill_at(monkeypatch, owner, name: str, call: int = 1, *, after: bool = False) -> None:
    """Kill the process when a function is called for the nth time, before or after its work."""
    real, calls = getattr(owner, name), []

    def killing(*args, **options):
        calls.append(name)
        if len(calls) == call and not after:
            raise KilledError
        result = real(*args, **options)
        if len(calls) == call:
            raise KilledError
        return result

    monkeypatch.setattr(owner, name, killing)


@pytest.mark.parametrize(
    ("owner", "name", "call", "after", "is_there"),
    [
        ("claims.Claim", "intend", 1, False, False),
        ("claims.Claim", "intend", 1, True, False),
        ("local_place", "write_atomically", 1, True, False),
        ("local_place", "write_atomically", 2, False, False),
        ("local_place", "write_atomically", 2, True, True),
        ("ledger.Ledger", "append", 1, False, True),
        ("ledger.Ledger", "append", 1, True, True),
    ],
)
def test_whenever_it_is_killed_the_next_run_knows(monkeypatch, owner, name, call, after, is_there):
    from nstbatch.cli.output import claims, ledger

    owners = {
        "claims.Claim": claims.Claim,
        "local_place": local_place,
        "ledger.Ledger": ledger.Ledger,
    }
    with monkeypatch.context() as patch:
        kill_at(patch, owners[owner], name, call, after=after)
        with pytest.raises(KilledError):
            keep()
    assert JOB.output.exists() is is_there
    with OutputFolder(OUT) as folder:
        made = folder.ledger.last_done("deep/a.png")
    assert (made is not None) is is_there
    assert len(lines() if (OUT / "nstbatch.jsonl").exists() else []) == is_there
    assert not (OUT / ".nstbatch").exists()
    if not is_there:
        keep()
    assert files() == FINISHED
    assert len(lines()) == 1


def test_unfinished_files_of_killed_runs_are_removed(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(local_place, "write_atomically", _half)
        with pytest.raises(KilledError):
            keep()
    assert any(name.endswith(".tmp") for name in files())
    with OutputFolder(OUT):
        pass
    assert files() == []


def _half(path: Path, data: bytes, token: str, **options: object) -> None:
    path.with_name(temporary_name(token)).write_bytes(data[: len(data) // 2])
    raise KilledError


def test_an_intent_that_was_not_carried_out_does_not_claim_another_file(monkeypatch):
    JOB.output.parent.mkdir(parents=True)
    JOB.output.write_bytes(b"somebody's")
    with monkeypatch.context() as patch:
        patch.setattr(local_place, "write_atomically", _half)
        with pytest.raises(KilledError):
            keep()
    with OutputFolder(OUT) as folder:
        assert folder.ledger.last_done("deep/a.png") is None
    assert JOB.output.read_bytes() == b"somebody's"


# ---- files that cannot be written -------------------------------------------------------------


def test_a_picture_that_cannot_be_written_leaves_nothing(monkeypatch):
    def refuse(path, data, token, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(local_place, "write_atomically", refuse)
    with pytest.raises(ImageError, match=r"cannot be written: Input/output error\.") as raised:
        keep()
    assert isinstance(raised.value.__cause__, OSError)
    assert files() == []


def test_a_ledger_that_is_full_does_not_cost_the_picture(monkeypatch):
    def refuse(self, record):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("nstbatch.cli.output.ledger.Ledger.append", refuse)
        with pytest.raises(OSError, match="No space left"):
            keep()
    assert JOB.output.exists()
    with OutputFolder(OUT) as folder:
        assert folder.ledger.last_done("deep/a.png") is not None


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_is_lost_does_not_come_back(replaced):
    with OutputFolder(OUT) as folder:
        claim = folder.claim(JOB)
        OUT.rename("elsewhere")
        if replaced:  # as the mount point of a disk that was taken away
            OUT.mkdir()
        with claim, pytest.raises(BatchStoppedError, match="out is gone"):
            folder.keep(claim, JOB, PAINTING, DONE, MADE_FROM, [])
        with pytest.raises(BatchStoppedError, match="out is gone"):
            folder.claim(JOB)
    assert list(OUT.rglob("*")) == [] if replaced else not OUT.exists()


@pytest.mark.parametrize("place", ["nstbatch.jsonl", ".nstbatch"])
def test_a_folder_that_cannot_be_written_is_found_before_the_first_step(place):
    keep()
    path = OUT / place
    path.unlink(missing_ok=True)
    path.touch() if place == ".nstbatch" else path.mkdir()
    with pytest.raises(UsageError, match=place.replace(".", r"\.")), OutputFolder(OUT):
        pass


def test_a_folder_that_was_copied_goes_on(monkeypatch):
    keep()
    shutil.copytree(OUT, "copy")
    assert OutputFolder(Path("copy")).ledger.last_done("deep/a.png") is not None
    assert images.read("copy/deep/a.png").pixels.shape == (4, 6, 3)
