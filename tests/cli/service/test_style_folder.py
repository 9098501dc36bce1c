"""The styles that clients may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nstbatch.cli.service.limits import RefusedError
from nstbatch.cli.service.style_folder import StyleFolder
from nstbatch.runtime.errors import UsageError


def test_styles_have_the_names_of_their_files(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.png", "a.jpg", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).touch()
    styles = StyleFolder(tmp_path)
    assert styles.named() == {
        "a.jpg": tmp_path / "a.jpg",
        "a.png": tmp_path / "a.png",
        "b": tmp_path / "b.jpg",
    }
    (tmp_path / "new.webp").touch()
    assert styles.path("new") == tmp_path / "new.webp"
    for name in ("", "../b", "b.jpg", "/etc/passwd", "notes"):
        with pytest.raises(RefusedError) as raised:
            styles.path(name)
        assert raised.value.status == 422


def test_a_folder_without_styles_is_refused_and_no_folder_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no picture"):
        StyleFolder(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        StyleFolder(tmp_path / "missing")
    assert StyleFolder(None).named() == {}
    with pytest.raises(RefusedError) as raised:
        StyleFolder(None).path("x")
    assert "send a picture" in raised.value.reason
