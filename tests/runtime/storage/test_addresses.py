"""Addresses are paths; their texts hold no credentials."""

import os
import pickle
from pathlib import Path

import pytest

from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.storage.addresses import (
    RemotePath,
    is_address,
    located,
    with_whole_query,
    without_credentials,
)

SIGNED = "https://user:pass@host:81/a%20b/c.jpg?X-Amz-Signature=5ec&u=http:%2F%2Fx#part"


def test_an_address_is_a_path_whose_relatives_are_addresses():
    path = located("S3://bucket/some photos/c.jpg")
    assert isinstance(path, RemotePath)
    assert (path.scheme, path.bucket, path.key) == ("s3", "bucket", "some photos/c.jpg")
    for text in (str(path), os.fspath(path), f"{path}", path.as_posix()):
        assert text == "s3://bucket/some photos/c.jpg"
    relatives = path.with_suffix(".png"), path.parent / "d", path.absolute(), Path(path.parent)
    assert list(map(str, relatives[:3])) == [
        "s3://bucket/some photos/c.png",
        "s3://bucket/some photos/d",
        "s3://bucket/some photos/c.jpg",
    ]
    assert path.relative_to(located("s3://bucket")).as_posix() == "some photos/c.jpg"
    assert path == located(Path("s3:/bucket/some photos/c.jpg"))  # as a command line gives it


def test_a_stamp_and_the_whole_address_travel_with_the_path():
    path = located(SIGNED).seen((1, 0, 2))
    again = pickle.loads(pickle.dumps(path))
    assert (again, again.address, again.stamp) == (path, SIGNED, (1, 0, 2))


def test_the_text_of_a_web_address_has_no_user_and_no_query():
    path = located(SIGNED)
    assert str(path) == "https://host:81/a%20b/c.jpg"
    assert "pass" not in repr(path)
    assert "5ec" not in repr(path)
    assert (path.parent / "d.jpg").address == ""


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        (SIGNED, "https://host:81/a%20b/c.jpg"),
        (f"--style={SIGNED}", "--style=https://host:81/a%20b/c.jpg"),
        ("https://host/a.jpg=2", "https://host/a.jpg=2"),
        ("s3://key:secret@bucket/a?b=c", "s3://bucket/a?b=c"),
        ("s3://bucket/some photos/a@b.jpg", "s3://bucket/some photos/a@b.jpg"),
        ("photos/a@b?.jpg", "photos/a@b?.jpg"),
    ],
)
def test_words_of_a_command_lose_their_credentials(word, plain):
    assert without_credentials(word) == plain


def test_a_query_keeps_its_slashes_through_a_path():
    word = with_whole_query("https://host/a.jpg?u=http://x//y")
    assert located(Path(word)).address == "https://host/a.jpg?u=http:%2F%2Fx%2F%2Fy"
    assert with_whole_query("s3://b/a?/b//c") == "s3://b/a?/b//c"


@pytest.mark.parametrize("text", ["photos/a.jpg", "C:/photos", "ftp://host/a", "s3:", "s3:/", ""])
def test_other_texts_are_files(text):
    assert not is_address(text)
    assert type(located(text)) is type(Path())


@pytest.mark.parametrize(
    "text",
    ["s3://key:secret@bucket/a", "az://c@account.net/a", "gs://b/../a", "http://me:a/secret@h/x"],
)
def test_impossible_addresses_are_refused_without_their_secrets(text):
    with pytest.raises(UsageError) as raised:
        located(text)
    assert "secret" not in str(raised.value)
