from pathlib import Path

import pytest

from nstbatch.cli.jobs.naming import Naming, fields
from nstbatch.cli.jobs.plan import make_plan
from nstbatch.runtime.errors import UnknownNameError, UsageError

RUN = {"style": "starry night", "model": "vgg16", "size": 512, "seed": 7}
OUT = Path("out")


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.jpg", "photos/b.PNG", "photos/deep/a.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def names(template: str, **options) -> list[str]:
    plan = make_plan([Path("photos")], OUT, naming=Naming(template, RUN), **options)
    return [job.output.as_posix() for job in plan.jobs]


def test_every_field_has_its_value():
    assert names("{index:03}_{stem}-{style}-{model}-{size}-{seed}") == [
        "out/001_a-starry night-vgg16-512-7.jpg",
        "out/002_b-starry night-vgg16-512-7.PNG",
    ]


def test_the_tree_and_the_format_stay():
    assert names("{stem}!", recursive=True, suffix=".tif") == [
        "out/a!.tif",
        "out/b!.tif",
        "out/deep/a!.tif",
    ]


def test_variations_are_numbered_unless_the_template_does():
    assert names("x{index}", variations=2) == [
        "out/x1-1.jpg",
        "out/x1-2.jpg",
        "out/x2-1.PNG",
        "out/x2-2.PNG",
    ]
    assert names("{variation}{stem}", variations=2)[:2] == ["out/1a.jpg", "out/2a.jpg"]


def test_a_photo_named_twice_is_one_photo():
    plan = make_plan(
        [Path("photos/a.jpg"), Path("photos/../photos/a.jpg"), Path("photos/b.PNG")],
        OUT,
        naming=Naming("{index}", RUN),
    )
    assert [job.output.name for job in plan.jobs] == ["1.jpg", "2.PNG"]


def test_two_pictures_of_one_name_are_found():
    with pytest.raises(UsageError, match="would both become"):
        names("{style}", suffix=".png")


def test_braces_can_be_written():
    assert names("{{{stem}}}")[0] == "out/{a}.jpg"


@pytest.mark.parametrize(
    "template", ["{styles}", "{}", "{0}", "{stem.__class__}", "{stem[0]}", "{format}"]
)
def test_an_unknown_field_lists_the_right_ones(template):
    with pytest.raises(UnknownNameError, match="Known: stem, index, variation, style, model"):
        Naming(template, RUN)


def test_a_verb_without_a_style_has_no_such_field():
    with pytest.raises(UnknownNameError, match="Known: stem, index, variation, size"):
        Naming("{style}", {"size": 512})


@pytest.mark.parametrize(
    "template", ["{stem", "stem}", "{index:.2z}", "{stem:{style}}", "{stem!q}"]
)
def test_an_invalid_template_is_refused(template):
    with pytest.raises(UsageError):
        names(template)


@pytest.mark.parametrize(
    "template", ["../{stem}", "/tmp/{stem}", "{style}/{stem}", "", "a" * 252, "\0"]
)
def test_no_name_leads_anywhere_else(template):
    with pytest.raises(UsageError, match="not a valid file name"):
        names(template)


def test_no_value_of_a_field_leads_to_another_folder():
    with pytest.raises(UsageError, match="not a valid file name"):
        Naming("{style}", {"style": "../up"}).renamed(Path("out/a.jpg"), 0, 0)


def test_files_and_bundles_are_told_by_their_names():
    settings = {"style": "art/the scream.v2.jpg", "model": "own/mynet", "size": 64, "seed": None}
    assert fields(settings) == {"style": "the scream.v2", "model": "mynet", "size": 64}
