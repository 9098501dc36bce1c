import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.systems.class_names import file_stem, find_class

CLASSES = ("tench", "tiger cat", "crane", "Persian cat", "crane", "catamaran", "jack-o'-lantern")


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("tench", 0),
        ("TENCH ", 0),
        ("tiger", 1),
        ("persian", 3),
        ("catam", 5),
        ("lantern", 6),
        ("4", 4),
        (2, 2),
    ],
)
def test_a_class_is_found_by_name_part_or_index(name, index):
    assert find_class(name, CLASSES) == index


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cat", r"'cat' could be 'tiger cat' \(1\) or 'Persian cat' \(3\)\. Give"),
        ("crane", r"could be 'crane' \(2\) or 'crane' \(4\)"),
        ("tinch", r"no class 'tinch' among the 7\. Did you mean 'tench' \(0\)\?"),
        ("zzz", r"no class 'zzz' among the 7\.$"),
        ("", "no class ''"),
        ("7", "from 0 to 6; not 7"),
        (-1, "from 0 to 6; not -1"),
    ],
)
def test_what_cannot_be_found_is_refused_with_what_is_close(name, message):
    with pytest.raises(UsageError, match=message):
        find_class(name, CLASSES)


def test_a_long_list_is_cut():
    with pytest.raises(UsageError, match=r"a7' \(7\) or 2 more\. Give"):
        find_class("a", [f"a{number}" for number in range(10)])


def test_every_class_of_the_built_in_classifier_is_found_by_its_name():
    classes = Bundle.load("squeezenet1_1").classes
    assert [find_class(name, classes) for name in classes] == list(range(1000))
    assert len({file_stem(index, classes).casefold() for index in range(1000)}) == 1000


def test_the_files_of_classes_of_one_name_are_told_apart():
    assert [file_stem(index, CLASSES) for index in (1, 2, 4, 6)] == [
        "tiger_cat",
        "crane-2",
        "crane-4",
        "jack-o'-lantern",
    ]


@given(name=st.text())
def test_a_name_leads_nowhere_else(name):
    """A bundle may come from a stranger."""
    stem = file_stem(0, [name])
    assert stem
    assert not set(stem) & set('/\\:*?"<>|.\0\n')
