"""The plan of all photos in all styles."""

from functools import partial
from pathlib import Path

import pytest

from nstbatch.cli.jobs.cross_plan import make_cross_plan
from nstbatch.cli.jobs.naming import Naming
from nstbatch.cli.jobs.plan import make_plan
from nstbatch.cli.jobs.search import Search
from nstbatch.runtime.errors import UsageError


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.jpg", "photos/b.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()


def plan(*styles: str, naming: Naming | None = None):
    make = partial(make_plan, Search([Path("photos")]), Path("out"))
    return make_cross_plan([Path(style) for style in styles], naming, lambda n: make(naming=n))


def test_every_photo_is_painted_in_every_style_one_style_after_another():
    jobs = plan("x.jpg", "art/y.png").jobs
    assert [job.output.as_posix() for job in jobs] == [
        "out/a-x.jpg",
        "out/b-x.png",
        "out/a-y.jpg",
        "out/b-y.png",
    ]
    assert [job.sources["style"].name for job in jobs] == ["x.jpg", "x.jpg", "y.png", "y.png"]
    assert jobs[2].settings == {"style": [str(Path("art/y.png"))], "each_style": False}


def test_a_name_may_place_the_style():
    naming = Naming("{style}_{stem}_{size}", {"style": "all", "size": 64})
    assert plan("x.jpg", naming=naming).jobs[0].output == Path("out/x_a_64.jpg")


def test_names_that_do_not_tell_styles_apart_are_refused():
    with pytest.raises(UsageError, match=r"2 are named x"):
        plan("x.jpg", "art/x.png")
    with pytest.raises(UsageError, match=r"--name needs the field \{style\}"):
        plan("x.jpg", naming=Naming("{stem}", {"style": ""}))
