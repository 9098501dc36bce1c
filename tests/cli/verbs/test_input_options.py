from pathlib import Path

import pytest

from nstbatch.cli.verbs.input_options import InputOptions
from nstbatch.runtime.errors import UsageError


def listed(tmp_path, data: bytes, **options) -> list[str]:
    path = tmp_path / "list"
    path.write_bytes(data)
    return [str(each) for each in InputOptions(path, **options).listed()]


def test_a_name_on_each_line(tmp_path):
    assert listed(tmp_path, b"a.jpg\n\n b.jpg \n#c.jpg\nd.jpg") == [
        "a.jpg", " b.jpg ", "#c.jpg", "d.jpg",
    ]  # fmt: skip
    assert listed(tmp_path, b"\xef\xbb\xbfa.jpg\r\nb.jpg\r\n") == ["a.jpg", "b.jpg"]
    assert listed(tmp_path, b"") == []
    assert InputOptions().listed() == []


def test_or_with_nuls_between_names(tmp_path):
    assert listed(tmp_path, b"a\nb.jpg\0\0c.jpg\r\0", null=True) == ["a\nb.jpg", "c.jpg\r"]
    with pytest.raises(UsageError, match="list has NULs between its names: give --null"):
        listed(tmp_path, b"a.jpg\0b.jpg\0")


def test_a_list_that_is_missing_is_wrong_usage():
    with pytest.raises(UsageError, match=r"gone\.txt cannot be read: No such file"):
        InputOptions(Path("gone.txt")).listed()
