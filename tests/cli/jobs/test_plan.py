import os
from pathlib import Path

import pytest

from nstbatch.cli.jobs.left_out import READERS
from nstbatch.cli.jobs.plan import Job, find_images, make_plan, make_writable
from nstbatch.cli.jobs.search import Search, Unreadable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.images import SUFFIXES

OUT = Path("stylized")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def private(monkeypatch):
    """Make folders named ``private`` unreadable, also for root."""
    scandir = os.scandir

    def guarded(path):
        if Path(path).name == "private":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def search(*inputs: str, **options) -> Search:
    return Search(list(map(Path, inputs)), **options)


def pairs(*inputs: str, out: Path = OUT, recursive: bool = False, **options) -> dict[str, str]:
    plan = make_plan(search(*inputs, recursive=recursive), out, **options)
    assert plan.unreadable == ()
    return {job.input.as_posix(): job.output.as_posix() for job in plan.jobs}


def test_a_file_goes_under_its_name():
    touch("holiday/a.jpg")
    assert pairs("holiday/a.jpg") == {"holiday/a.jpg": "stylized/a.jpg"}


def test_a_folder_in_the_order_of_names_and_not_its_folders():
    touch("photos/b.png", "photos/a.JPG", "photos/notes.txt", "photos/deep/c.jpg")
    assert list(pairs("photos").items()) == [
        ("photos/a.JPG", "stylized/a.JPG"),
        ("photos/b.png", "stylized/b.png"),
    ]


def test_the_tree_is_mirrored():
    touch("photos/a.jpg", "photos/2024/May/a.jpg")
    assert pairs("photos", recursive=True) == {
        "photos/a.jpg": "stylized/a.jpg",
        "photos/2024/May/a.jpg": "stylized/2024/May/a.jpg",
    }


def test_a_format_that_cannot_be_written_becomes_png():
    touch("a.gif", "b.bmp", "c.webp", "scan", "photo.2024")
    assert pairs("a.gif", "b.bmp", "c.webp", "scan", "photo.2024") == {
        "a.gif": "stylized/a.png",
        "b.bmp": "stylized/b.png",
        "c.webp": "stylized/c.webp",
        "scan": "stylized/scan.png",
        "photo.2024": "stylized/photo.2024.png",
    }


def test_all_pictures_of_one_format():
    touch("a.jpg", "b.gif", "scan")
    assert pairs("a.jpg", "b.gif", "scan", suffix=".png") == {
        "a.jpg": "stylized/a.png",
        "b.gif": "stylized/b.png",
        "scan": "stylized/scan.png",
    }
    touch("a.png")
    with pytest.raises(UsageError, match="would both become"):
        make_plan(search("a.jpg", "a.png"), OUT, suffix=".png")


def test_several_pictures_of_a_photo_are_numbered():
    touch("a.jpg")
    jobs = make_plan(search("a.jpg"), OUT, variations=3).jobs
    assert [(job.output.as_posix(), job.variation) for job in jobs] == [
        ("stylized/a-1.jpg", 0),
        ("stylized/a-2.jpg", 1),
        ("stylized/a-3.jpg", 2),
    ]


def test_hidden_files_are_no_photos_unless_named():
    touch("photos/.a.jpg", "photos/._b.jpg", "photos/.thumbnails/c.jpg", "photos/d.jpg")
    assert list(pairs("photos", recursive=True)) == ["photos/d.jpg"]
    assert pairs("photos/.a.jpg") == {"photos/.a.jpg": "stylized/.a.jpg"}


def test_the_output_folder_is_not_descended_into():
    touch("a.jpg", "stylized/a.jpg", "sub/stylized/b.jpg")
    assert pairs(".", recursive=True) == {
        "a.jpg": "stylized/a.jpg",
        "sub/stylized/b.jpg": "stylized/sub/stylized/b.jpg",
    }
    assert "stylized/a.jpg" not in pairs(".", recursive=True, out=Path.cwd() / "stylized")


def test_links_to_folders_are_not_followed_and_loops_end(folder):
    touch("photos/a.jpg", "elsewhere/b.jpg")
    Path("photos/loop").symlink_to(folder / "photos")
    Path("photos/elsewhere").symlink_to(folder / "elsewhere")
    assert list(pairs("photos", recursive=True)) == ["photos/a.jpg"]
    assert list(pairs("photos/elsewhere")) == ["photos/elsewhere/b.jpg"]  # named, so wanted
    assert make_plan(search("photos", recursive=True), OUT).left_out.lines() == [
        f"Not followed: 2 links ({Path('photos/elsewhere')}, ...) to folders. "
        "Give such a folder as an input."
    ]


@pytest.mark.parametrize(
    "name", ["@eaDir", "#recycle", "Thumbs", "thumbs", ".thumbnails", "$RECYCLE.BIN", "__MACOSX"]
)
def test_copies_that_a_system_keeps_are_no_photos_unless_named(name):
    touch("photos/a.jpg", f"photos/May/{name}/a.jpg/SYNOPHOTO_THUMB_XL.jpg")
    assert list(pairs("photos", recursive=True)) == ["photos/a.jpg"]
    assert len(pairs(f"photos/May/{name}", recursive=True)) == 1
    _, _, left_out = find_images(search("photos", recursive=True), OUT)
    assert len(left_out.folders) == (not name.startswith("."))


def test_pictures_that_cannot_be_read_are_counted_with_what_would_read_them():
    touch("photos/a.PSD", "photos/b.psd", "photos/deep/c.svg", "photos/d.avci")
    touch("photos/notes.txt", "photos/.g.psd", "photos/h.jpg")
    plan = make_plan(search("photos", recursive=True), OUT)
    assert [job.input.name for job in plan.jobs] == ["h.jpg"]
    assert plan.left_out.lines() == [
        "Left alone, as nstbatch cannot read them: 1 .avci file; "
        "heif-convert of libheif turns them into JPEG or PNG.",
        "Left alone, as nstbatch cannot read them: 2 .psd, 1 .svg files; "
        "ImageMagick or GIMP turns them into PNG.",
    ]
    assert make_plan(search("photos/h.jpg"), OUT).left_out.lines() == []


def test_what_can_be_read_is_not_among_what_cannot():
    assert not READERS.keys() & SUFFIXES
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in READERS)


def test_what_phones_and_cameras_write_are_photos_whose_pictures_are_png():
    touch("photos/a.HEIC", "photos/b.dng", "photos/c.CR3", "photos/d.jxl")
    assert pairs("photos") == {
        "photos/a.HEIC": "stylized/a.png",
        "photos/b.dng": "stylized/b.png",
        "photos/c.CR3": "stylized/c.png",
        "photos/d.jxl": "stylized/d.png",
    }


def test_jpegs_under_their_other_suffixes_are_photos():
    touch("photos/a.jfif", "photos/b.JPE")
    assert pairs("photos") == {
        "photos/a.jfif": "stylized/a.jfif",
        "photos/b.JPE": "stylized/b.JPE",
    }


def test_links_to_files_are_photos_and_broken_ones_fail_later(folder):
    touch("elsewhere/a.jpg", "photos/b.jpg")
    Path("photos/a.jpg").symlink_to(folder / "elsewhere" / "a.jpg")
    Path("photos/broken.jpg").symlink_to(folder / "gone.jpg")
    assert list(pairs("photos")) == ["photos/a.jpg", "photos/b.jpg", "photos/broken.jpg"]


def test_an_unreadable_folder_is_reported_and_the_rest_planned(private):
    touch("photos/a.jpg", "photos/private/b.jpg", "photos/z/c.jpg")
    plan = make_plan(search("photos", recursive=True), OUT)
    assert [job.input.name for job in plan.jobs] == ["a.jpg", "c.jpg"]
    assert plan.unreadable == (
        Unreadable(Path("photos/private"), "The folder cannot be read: Permission denied."),
    )


def test_a_photo_named_twice_is_painted_once():
    touch("photos/a.jpg")
    assert make_plan(search("photos", "photos/a.jpg", "./photos"), OUT).jobs == (
        Job(Path("photos/a.jpg"), Path("stylized/a.jpg")),
    )


def test_an_empty_folder_plans_nothing():
    Path("empty").mkdir()
    assert pairs("empty") == {}


def test_a_missing_input_is_refused():
    touch("a.jpg")
    with pytest.raises(UsageError, match=r"There is no file or folder b\\nc\.jpg"):
        pairs("a.jpg", "b\nc.jpg")


def test_two_photos_for_one_picture_are_refused():
    touch("may/a.jpg", "june/a.jpg")
    with pytest.raises(UsageError, match=r"may/a\.jpg and june/a\.jpg would both become"):
        pairs("may", "june")


def test_so_are_two_formats_that_become_one():
    touch("photos/a.gif", "photos/a.png")
    with pytest.raises(UsageError, match=r"both become stylized/a\.png"):
        pairs("photos")


def test_a_picture_over_a_photo_is_refused(folder):
    touch("photos/a.jpg", "photos/b.jpg")
    with pytest.raises(UsageError, match=r"photos/a\.jpg would overwrite"):
        pairs("photos", out=Path("photos"))
    Path("link").symlink_to(folder / "photos")
    with pytest.raises(UsageError, match=r"link/a\.jpg would overwrite"):
        pairs("photos/a.jpg", out=Path("link"))


def test_a_picture_over_the_style_is_refused():
    touch("photos/monet.jpg", "art/monet.jpg")
    with pytest.raises(UsageError, match=r"art/monet\.jpg would overwrite"):
        pairs("photos", out=Path("art"), keep=[Path("art/monet.jpg")])


def test_many_problems_are_told_in_a_few_lines():
    touch(*(f"{month}/{n}.jpg" for month in ("may", "june") for n in range(9)))
    with pytest.raises(UsageError, match=r"\.\.\. and 4 more") as raised:
        pairs("may", "june")
    assert str(raised.value).count("would both become") == 5


def test_make_writable_creates_the_folder_and_leaves_nothing_in_it():
    make_writable(Path("new/pictures"))
    assert list(Path("new/pictures").iterdir()) == []


def test_make_writable_refuses_a_file_in_the_way():
    touch("stylized")
    with pytest.raises(UsageError, match="stylized cannot be written to: File exists"):
        make_writable(OUT)
    with pytest.raises(UsageError, match="stylized/deep cannot be written to: Not a directory"):
        make_writable(OUT / "deep")


def test_make_writable_refuses_a_folder_without_permission(monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(UsageError, match="stylized cannot be written to: Permission denied"):
        make_writable(OUT)


def test_ten_thousand_photos_among_loops_and_rubbish(folder, private):
    for month in range(50):
        place = Path("photos", f"{month:02}", "same", "names")
        place.mkdir(parents=True)
        for number in range(200):
            (place / f"{number:03}.jpg").touch()
        (place / "._000.jpg").touch()
        (place / "notes.txt").touch()
        (place / "loop").symlink_to(folder / "photos")
        (place.parent / "up").symlink_to("..")
    Path("photos/private").mkdir()
    plan = make_plan(search("photos", recursive=True), OUT)
    assert [found.path for found in plan.unreadable] == [Path("photos/private")]
    assert len(plan.jobs) == 10_000
    assert all(job.output == OUT / job.input.relative_to("photos") for job in plan.jobs)
    assert [job.input for job in plan.jobs] == sorted(job.input for job in plan.jobs)
