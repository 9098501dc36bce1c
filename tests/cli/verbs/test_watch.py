"""``nstbatch watch`` as a program: slow writers, Ctrl-C, and a second start."""

from __future__ import annotations

from pathlib import Path

import pytest
import slow_writer

from nstbatch.cli.main import run


def test_slowly_written_photos_are_painted_once_each(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    with slow_writer.watching(tmp_path) as process:
        slow_writer.land_all(folder, range(7), longest_pause=0.3, together=4)
        (folder / ".007.jpg").write_bytes(b"hidden")
        slow_writer.land(folder, 2.5, 7)  # its writer pauses for longer than files settle
        slow_writer.wait_for(tmp_path, 8, 60)
        code, printed, said = slow_writer.end(process)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*.jpg")}
    assert (code, len(names)) == (0, 8), said
    assert sorted(slow_writer.attempts(tmp_path)) == sorted((name, "done") for name in names)
    assert sorted(printed.splitlines()) == sorted(f"out/{name}" for name in names)
    assert "8 pictures done" in said
    assert not (tmp_path / "out" / ".nstbatch").exists()
    # It is the ledger of stylize, which goes on where the watch has ended.
    words = list(slow_writer.COMMAND[3:])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        slow_writer.land(folder, 0, 8)
        assert run(["stylize", *words[1:], "--quiet"]) == 0
    assert len(slow_writer.attempts(tmp_path)) == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["in"], "Missing option"),
        (["missing", "-s", "style.jpg"], "is no folder"),
        (["style.jpg", "-s", "style.jpg"], "is no folder"),
        (["-s", "style.jpg"], "Name the folder"),
        (["in", "-s", "style.jpg", "-o", "one.jpg"], "Give --out a folder"),
        (["in", "-s", "style.jpg", "--dry-run"], "--dry-run does not go with watch"),
        (["in", "-s", "style.jpg", "--jobs", "2"], "--jobs does not go with watch"),
        (["in", "-s", "missing.jpg"], "missing.jpg"),
        (["in", "-s", "style.jpg", "--size", "-1"], "size"),
    ],
)
def test_wrong_usage_ends_before_the_watch(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("style.jpg").write_bytes(slow_writer.many_uploads.jpeg(0))
    assert run(["watch", *words]) == 2
    assert said in capfd.readouterr().err
    assert not Path("stylized").exists()
