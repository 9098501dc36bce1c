import math
import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.cli.text import columns, count, duration, gigabytes, printable, shell


@pytest.mark.parametrize(
    "name", ["a b.jpg", "[red]a[/red].jpg", "東京　夜.png", "Ελλάδα.jpg", "👩‍🎨.png"]
)
def test_ordinary_names_stay_as_they_are(name):
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb.jpg", r"a\nb.jpg"),
        ("\x1b[2Ja.jpg", r"\x1b[2Ja.jpg"),
        ("gpj.\u202ea", r"gpj.\u202ea"),
        (os.fsdecode(b"\xff.jpg"), r"\udcff.jpg"),
    ],
)
def test_names_cannot_play_tricks(name, shown):
    assert printable(name) == shown


@given(st.text())
def test_printable_text_is_one_line_of_valid_utf8(text):
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nstbatch", "stylize", "a b.jpg"], "nstbatch stylize 'a b.jpg'"),
        (["<img src=x onerror=alert(1)>.jpg"], "'<img src=x onerror=alert(1)>.jpg'"),
        (["it's"], """'it'"'"'s'"""),
        (["$(rm -rf ~)", "`x`", "a;b", ""], "'$(rm -rf ~)' '`x`' 'a;b' ''"),
        (["a\nb'\\.jpg"], r"$'a\012b\'\\.jpg'"),
        (["\x1b[2J"], r"$'\033[2J'"),
        (["\ud800"], r"$'\355\240\200'"),  # nobody's name, but a recipe may hold it
        ([os.fsdecode(b"\xff1.jpg")], r"$'\3771.jpg'"),
    ],
)
def test_a_command_is_one_line_of_text(words, line):
    assert shell(words) == line


file_names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell is needed, and is not here")
@given(words=st.lists(file_names | st.just("\udcff"), min_size=1, max_size=20))
def test_a_shell_reads_the_same_words(words):
    line = f"printf '%s\\0' {shell(words)}"
    assert printable(line) == line
    found = subprocess.run(["bash", "-c", line], check=True, capture_output=True).stdout
    assert [os.fsdecode(word) for word in found.split(b"\0")[:-1]] == words


def test_columns_line_up_wide_letters_too():
    assert columns([("東京", "1"), ("a", "22")]) == ["東京  1", "a     22"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"),
        (7380, "2 h 03 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("number", [2.6e9, 2.6e9 + 1, 2.69e9])
def test_what_is_needed_is_rounded_up_and_what_is_there_down(number):
    enough = gigabytes(number, math.ceil)
    assert enough == ("2.6 GB" if number == 2.6e9 else "2.7 GB")
    assert float(enough.removesuffix(" GB")) * 1e9 >= number
    assert gigabytes(2.69e9, math.floor) == "2.6 GB"
    assert gigabytes(2.69e9) == "2.7 GB"


def test_count():
    assert (count(1, "photo"), count(0, "photo")) == ("1 photo", "0 photos")


def test_bytes_that_are_no_text_reach_the_shell():
    assert shell([os.fsdecode(b"caf\xe9.jpg")]) == r"$'caf\351.jpg'"
