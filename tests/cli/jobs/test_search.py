"""Lists, patterns, and what --include and --exclude choose."""

from pathlib import Path, PurePath

import pytest

from nstbatch.cli.jobs.globs import Globs
from nstbatch.cli.jobs.identities import Identities
from nstbatch.cli.jobs.left_out import LeftOut
from nstbatch.cli.jobs.search import Found, Search, Unreadable
from nstbatch.runtime.errors import UsageError

OUT = Path("stylized")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "IMG[1].jpg", "photos/b.JPG", "photos/c.png", "photos/May/d.jpg"):
        touch(name)
    return tmp_path


def touch(name: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).touch()


def found(*inputs: str, left_out: LeftOut | None = None, **options) -> list[str]:
    search = Search(list(map(Path, inputs)), **options)
    return [each.path.as_posix() for each in search.run(OUT, Identities(), left_out or LeftOut())]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*.jpg", ["IMG[1].jpg", "a.jpg"]),
        ("photos/*", ["photos/May/d.jpg", "photos/b.JPG", "photos/c.png"]),
        ("**/d.jpg", ["photos/May/d.jpg"]),
        ("?.jpg", ["a.jpg"]),
        ("IMG[1].jpg", ["IMG[1].jpg"]),  # a name, though it is a pattern of IMG1.jpg
        ("pho*", ["photos/b.JPG", "photos/c.png"]),  # a folder
    ],
)
def test_patterns_that_no_shell_has_read(pattern, matches):
    assert found(pattern) == matches


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(UsageError, match=r"No file or folder matches \*\.tif"):
        found("a.jpg", "*.tif")


def test_listed_files_that_are_missing_fail_alone():
    listed = [Path("a.jpg"), Path("gone.jpg"), Path("photos")]
    search = Search([], listed)
    assert search.run(OUT, Identities(), LeftOut()) == [
        Found(Path("a.jpg"), Path("a.jpg"), named=True),
        Unreadable(Path("gone.jpg"), "There is no such file or folder."),
        Found(Path("photos/b.JPG"), Path("b.JPG")),
        Found(Path("photos/c.png"), Path("c.png")),
    ]
    assert found("gone.jpg", "*.gone", "a.jpg", lenient=True) == ["a.jpg"]


def test_include_and_exclude_choose_in_folders_only():
    left_out = LeftOut()
    globs = Globs(["*.jpg"], ["May"])
    assert found("photos", recursive=True, globs=globs, left_out=left_out) == ["photos/b.JPG"]
    assert left_out.lines() == ["Left out by --include and --exclude: 1 picture and 1 folder."]
    assert found("photos/c.png", globs=globs) == ["photos/c.png"]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*.jpg", "a.jpg May/B.JPG May/deep/c.jpg #x.jpg"),
        ("May", "May/B.JPG May/deep/c.jpg"),
        ("may/", "May/B.JPG May/deep/c.jpg"),
        ("May/*.jpg", "May/B.JPG"),
        ("./May/*.jpg", "May/B.JPG"),
        ("deep/*", ""),  # a path starts at the input folder
        ("**/deep/*", "May/deep/c.jpg"),
        ("/a.*", "a.jpg"),
        ("[a-b].jpg", "a.jpg May/B.JPG"),
        ("#x.jpg", "#x.jpg"),
        ("!a.jpg", ""),
    ],
)
def test_patterns_are_those_of_gitignore_without_regard_to_case(pattern, matches):
    names = ["a.jpg", "May/B.JPG", "May/deep/c.jpg", "#x.jpg", "d.png"]
    include, exclude = Globs([pattern]), Globs((), [pattern])
    assert [name for name in names if include.takes(PurePath(name))] == matches.split()
    assert [name for name in names if not exclude.takes(PurePath(name))] == matches.split()


def test_only_whole_folders_are_not_entered():
    assert not Globs((), ["May"]).enters(PurePath("2024/May"))
    assert Globs((), ["May/*.jpg"]).enters(PurePath("May"))
    assert Globs(["*.jpg"]).enters(PurePath("May"))


@pytest.mark.parametrize("pattern", ["", "/", "[z-a]"])
def test_an_invalid_pattern_is_refused(pattern):
    with pytest.raises(UsageError, match=r"The pattern .* is invalid"):
        Globs([pattern])


def test_results_are_left_out_unless_named():
    left_out = LeftOut()
    options = {"recursive": True, "is_result": lambda path: path.endswith(("b.JPG", "d.jpg"))}
    assert found("photos", left_out=left_out, **options) == ["photos/c.png"]
    assert left_out.results == [Path("photos/May/d.jpg"), Path("photos/b.JPG")]
    named = found("photos", "photos/b.JPG", **options)
    assert sorted(set(named)) == ["photos/b.JPG", "photos/c.png"]
    listed = found("photos", listed=[Path("photos/b.JPG")], **options)
    assert sorted(set(listed)) == ["photos/b.JPG", "photos/c.png"]
