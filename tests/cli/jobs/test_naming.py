import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from nstbatch.cli.jobs.naming import Naming, fields
from nstbatch.cli.jobs.plan import make_plan
from nstbatch.cli.jobs.search import Search
from nstbatch.runtime.errors import UnknownNameError, UsageError

RUN = {"style": "starry night", "model": "vgg16", "size": 512, "seed": 7}
OUT = Path("out")


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.jpg", "photos/b.PNG", "photos/deep/a.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


PHOTOS = Search([Path("photos")])


def names(template: str, recursive: bool = False, **options) -> list[str]:
    plan = make_plan(
        replace(PHOTOS, recursive=recursive), OUT, naming=Naming(template, RUN), **options
    )
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
        Search([Path("photos/a.jpg"), Path("photos/../photos/a.jpg"), Path("photos/b.PNG")]),
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


@pytest.mark.parametrize("template", ["../{stem}", "/tmp/{stem}", "{style}/{stem}", "", "\0"])
def test_no_name_leads_anywhere_else(template):
    with pytest.raises(UsageError, match="not a valid file name"):
        names(template)


def test_a_name_that_becomes_too_long_fails_alone():
    Path("photos/a.jpg").rename("photos/" + "a" * 200 + ".jpg")
    naming = Naming("{stem}-" + "x" * 51, RUN)
    plan = make_plan(PHOTOS, OUT, naming=naming)
    assert [job.input.name for job in plan.jobs] == ["b.PNG"]
    (failure,) = plan.unreadable
    assert failure.path.name == "a" * 200 + ".jpg"
    assert "would have 256 bytes, and 255 is the limit" in failure.reason
    assert "--name '{index}'" in failure.reason
    assert make_plan(PHOTOS, OUT, naming=Naming("{index}", RUN)).unreadable == ()


@pytest.mark.parametrize(
    ("options", "failures"),
    [({"suffix": ".webp"}, 1), ({"variations": 2}, 2), ({}, 0)],
)
def test_a_suffix_and_a_number_may_make_a_name_too_long(options, failures):
    Path("photos/" + "b" * 251 + ".png").touch()
    plan = make_plan(PHOTOS, OUT, **options)
    assert len(plan.unreadable) == failures
    assert {job.input.name for job in plan.jobs} >= {"a.jpg", "b.PNG"}


def test_bytes_count_and_not_letters():
    Path("photos/" + "\N{GREEK SMALL LETTER ALPHA}" * 125 + ".jpg").touch()  # 254 bytes
    assert len(make_plan(PHOTOS, OUT, variations=2).unreadable) == 2
    assert make_plan(PHOTOS, OUT).unreadable == ()


@pytest.mark.parametrize("template", [None, "{stem}", "{style}", "it's {size}"])
def test_the_advice_for_two_pictures_of_one_name_works(template):
    Path("photos/a.png").touch()
    naming = None if template is None else Naming(template, RUN)
    with pytest.raises(UsageError, match="would both become") as refused:
        make_plan(PHOTOS, OUT, naming=naming, suffix=".png")
    option, advice = shlex.split(str(refused.value).rpartition(" with ")[2].removesuffix("."))
    assert option == "--name"
    assert advice == "{index}_" + (template or "{stem}")
    plan = make_plan(PHOTOS, OUT, naming=Naming(advice, RUN), suffix=".png")
    assert len({job.output for job in plan.jobs}) == 3


def test_no_value_of_a_field_leads_to_another_folder():
    with pytest.raises(UsageError, match="not a valid file name"):
        Naming("{style}", {"style": "../up"}).renamed(Path("out/a.jpg"), 0, 0)


def test_files_and_bundles_are_told_by_their_names():
    settings = {"style": "art/the scream.v2.jpg", "model": "own/mynet", "size": 64, "seed": None}
    assert fields(settings) == {"style": "the scream.v2", "model": "mynet", "size": 64}
