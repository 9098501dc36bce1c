"""The ledger stays readable after crashes, and with other programs and processes writing."""

import json
import multiprocessing
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.cli.output.claims import Claims
from nstbatch.cli.output.ledger import NAME, Ledger
from nstbatch.runtime.errors import UsageError


def record(output: str = "a.png", status: str = "done", **changes) -> dict:
    return {
        "kind": "image",
        "run": "0123456789ab",
        "input": f"photos/{output}",
        "output_in_folder": output,
        "status": status,
        "fingerprint": "f" * 64,
        "input_sha256": "1" * 64,
        "input_stamp": [10, 20, 30],
        "output_sha256": "2" * 64,
        "output_stamp": [11, 21, 31],
        "seconds": 1.5,
        "steps": 7,
        "width": 640,
        "height": 480,
    } | changes


def test_an_empty_ledger_knows_nothing(tmp_path):
    ledger = Ledger(tmp_path / "not there yet")
    assert (ledger.last("a.png"), ledger.failures, ledger.finished, ledger.runs) == (
        None,
        [],
        [],
        {},
    )


def test_the_last_line_of_a_picture_counts(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append({"kind": "run", "run": "0123456789ab", "verb": "stylize"})
    for line in (record(), record("b.png"), record(status="failed", reason="No memory.")):
        ledger.append(line)
    for read in (ledger, Ledger(tmp_path)):
        read.refresh()
        assert read.runs["0123456789ab"].verb == "stylize"
        assert [line.output for line in read.failures] == ["a.png"]
        assert read.last("a.png").reason == "No memory."
        made = read.last_done("a.png")
        assert (made.done, made.steps, made.megapixels) == (True, 7, 0.3072)
        assert (made.input_stamp, made.output_stamp) == ((10, 20, 30), (11, 21, 31))
        assert [line.output for line in read.finished] == ["a.png", "b.png"]


def test_reading_goes_on_where_it_ended_and_does_not_take_half_a_line(tmp_path):
    ledger, path = Ledger(tmp_path), tmp_path / NAME
    ledger.append(record())
    ledger.refresh()
    first = ledger.last("a.png")
    text = json.dumps(record("b.png")).encode()
    with path.open("ab") as file:
        file.write(text[:20])
    ledger.refresh()
    assert ledger.last("b.png") is None
    with path.open("ab") as file:
        file.write(text[20:] + b"\n")
    ledger.refresh()
    assert ledger.last("b.png").output == "b.png"
    assert ledger.last("a.png") is first  # not read again


@given(cut=st.integers(1, 300), rubbish=st.binary(max_size=40))
def test_a_torn_last_line_costs_that_line_alone(tmp_path_factory, cut, rubbish):
    out = tmp_path_factory.mktemp("out")
    ledger, path = Ledger(out), out / NAME
    ledger.append(record())
    ledger.append(record("b.png"))
    whole = path.read_bytes()
    kept = whole[: len(whole) - min(cut, len(whole.splitlines()[1]))]
    path.write_bytes(kept + rubbish.replace(b"\n", b""))
    again = Ledger(out)
    again.append(record("c.png"))
    read = Ledger(out)
    assert read.last("a.png").output == "a.png"
    assert read.last("c.png").output == "c.png"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1, 2]",
        "null",
        '{"kind": "image"}',
        json.dumps(record(output_in_folder=3)),
        json.dumps({"kind": "run", "run": 7}),
        "[" * 100_000,
    ],
)
def test_a_foreign_line_is_passed_over(tmp_path, line):
    (tmp_path / NAME).write_text(f"{line}\n{json.dumps(record())}\n")
    ledger = Ledger(tmp_path)
    assert ledger.last("a.png").done
    assert ledger.runs == {}


def test_fields_of_another_type_are_ignored(tmp_path):
    odd = record(output_stamp=[1, "2", 3], input_stamp=7, seconds="long", fingerprint=None, width=0)
    (tmp_path / NAME).write_text(f"{json.dumps(odd)}\n")
    line = Ledger(tmp_path).last("a.png")
    assert (line.output_stamp, line.input_stamp, line.fingerprint) == (None, None, None)
    assert (line.seconds, line.megapixels) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.jpg", "a\nb.jpg", "\udcff\u2028"])
def test_any_name_is_one_line_of_plain_text(tmp_path, name):
    Ledger(tmp_path).append(record(name))
    (line,) = (tmp_path / NAME).read_bytes().splitlines()
    assert line.isascii()
    assert json.loads(line)["output_in_folder"] == name
    assert Ledger(tmp_path).last(name).output == name


def test_a_line_that_cannot_be_written_in_full_is_removed(tmp_path, monkeypatch):
    ledger, path = Ledger(tmp_path), tmp_path / NAME
    ledger.append(record())
    before = path.read_bytes()

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            ledger.append(record("b.png"))
    assert path.read_bytes() == before
    ledger.append(record("b.png"))
    assert Ledger(tmp_path).last("b.png").done


def _append_many(out: Path, name: str, number: int) -> None:
    ledger = Ledger(out, Claims(out).ledger_lock)
    for count in range(number):
        ledger.append(record(f"{name}-{count}.png"))


def test_processes_and_threads_do_not_tear_each_others_lines(tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=_append_many, args=(tmp_path, "process", 50)
    )
    process.start()
    threads = [
        threading.Thread(target=_append_many, args=(tmp_path, f"thread{n}", 50)) for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process.join()
    assert process.exitcode == 0
    assert len(Ledger(tmp_path).finished) == 150


def test_a_ledger_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(UsageError, match=r"nstbatch\.jsonl cannot be read: Is a directory"):
        Ledger(tmp_path)


def test_a_ledger_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path)
    ledger.check_writable()
    assert not ledger.path.exists()
    ledger.append(record())
    ledger.check_writable()

    def refuse(self, *args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"nstbatch\.jsonl cannot be written to: Permission"):
        ledger.check_writable()
