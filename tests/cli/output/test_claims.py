"""Only one process paints a picture; a kill releases its claims."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nstbatch.cli.output.claims import FOLDER, Claims
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.files import temporary_name

HOLD = """
import sys, time
from pathlib import Path
from nstbatch.cli.output.claims import Claims
with Claims(Path(sys.argv[1])).take(sys.argv[2]) as claim:
    claim.intend({"output_in_folder": sys.argv[2]})
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def claims(tmp_path) -> Claims:
    return Claims(tmp_path)


@pytest.fixture
def holder(tmp_path):
    """Start a process that has claimed ``a.png`` and stored its intent."""
    command = [sys.executable, "-c", HOLD, tmp_path, "a.png"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"held"
        yield process
        process.kill()


def test_a_claim_is_for_one_at_a_time(claims, tmp_path):
    with claims.take("a.png") as claim:
        assert claim is not None
        assert Claims(tmp_path).take("a.png") is None
        with claims.take("b.png") as other:
            assert other.token != claim.token
    with claims.take("a.png"):
        pass
    claims.close()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_comes_back_where_another_process_has_removed_it(claims, tmp_path):
    with claims.take("a.png"):
        pass
    Claims(tmp_path).close()
    assert not (tmp_path / FOLDER).exists()
    with claims.take("a.png"), claims.ledger_lock():
        pass


def test_the_folder_is_removed_while_it_is_found_to_be_there(claims, tmp_path, monkeypatch):
    """A batch once stopped here: ``mkdir`` failed, and the folder was gone."""
    claims.folder.mkdir()
    mkdir = os.mkdir

    def too_late(path, *mode):
        monkeypatch.setattr(os, "mkdir", mkdir)
        claims.folder.rmdir()
        raise FileExistsError(path)

    monkeypatch.setattr(os, "mkdir", too_late)
    with claims.take("a.png") as claim:
        assert claim is not None


def test_a_held_lock_on_the_ledger_is_not_removed(claims, tmp_path):
    with claims.ledger_lock():
        inode = (tmp_path / FOLDER / "ledger.lock").stat().st_ino
        closing = threading.Thread(target=Claims(tmp_path).close)
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
        assert (tmp_path / FOLDER / "ledger.lock").stat().st_ino == inode
    closing.join()
    assert not (tmp_path / FOLDER).exists()


def test_a_lost_output_folder_does_not_come_back(tmp_path):
    with pytest.raises(FileNotFoundError):
        Claims(tmp_path / "gone").take("a.png")


def test_another_process_holds_it_until_it_is_killed(claims, holder):
    assert claims.take("a.png") is None
    assert list(claims.left_behind()) == []
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    (left,) = claims.left_behind()
    with left:
        assert left.intended == {"output_in_folder": "a.png"}
        left.carried_out()
    assert list(claims.left_behind()) == []


def test_an_intent_keeps_the_claim_findable(claims, tmp_path):
    with claims.take("a.png") as claim:
        claim.intend({"x": 1})
    claims.close()
    (left,) = Claims(tmp_path).left_behind()
    with left:
        assert left.intended == {"x": 1}


@pytest.mark.parametrize("text", ["", '{"x": ', "[1]", "\0"])
def test_a_torn_intent_is_none(claims, text):
    with claims.take("a.png") as claim:
        Path(claims.folder, f"{claim.token}.json").write_text(text)
        assert claim.intended is None
        claim.carried_out()


def test_a_sweep_takes_this_picture_s_temporary_file_alone(claims, tmp_path):
    names = [temporary_name("other"), "a.png"]
    with claims.take("a.png") as claim:
        for name in (*names, temporary_name(claim.token)):
            (tmp_path / name).touch()
        claim.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(names)


@pytest.mark.parametrize("name", ["a\nb.png", "\udcff.png", "x" * 250 + ".png", "deep/er/a.png"])
def test_any_name_can_be_claimed(claims, name):
    with claims.take(name) as claim:
        assert claim is not None
        assert claims.take(name) is None


def test_a_folder_in_which_nothing_can_be_claimed_is_told_at_once(claims, tmp_path):
    (tmp_path / FOLDER).touch()
    with pytest.raises(UsageError, match=r"\.nstbatch cannot be written to"):
        claims.check_writable()
