import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.cli.text import columns, count, duration, printable, shell


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
def test_what_is_shown_is_one_line_that_any_utf8_terminal_takes(text):
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown


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


def test_count():
    assert (count(1, "photo"), count(0, "photo")) == ("1 photo", "0 photos")


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), max_size=4))
def test_a_shell_reads_the_words_that_were_meant(words):
    line = shell(words)
    assert line == printable(line)
    read = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True
    ).stdout
    assert read == b"".join(os.fsencode(word) + b"\0" for word in words) or not words


def test_bytes_that_are_no_text_reach_the_shell():
    assert shell([os.fsdecode(b"caf\xe9.jpg")]) == r"$'caf\xe9.jpg'"
