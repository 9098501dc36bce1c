"""Folders of users with and without a home folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs
import pytest

from nstbatch.runtime import user_folders
from nstbatch.runtime.bundles.bundle import Bundle, installed, user_folder
from nstbatch.runtime.cache.cache import current_cache
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.user_folders import cache_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="home folders of Unix")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME is not set, and the user id has no passwd entry."""
    import pwd

    def no_entry(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "NSTBATCH_CACHE", "NSTBATCH_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nobody")
def test_nobody_has_no_folders_and_all_built_in_models(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_folders.user_data() is user_folders.user_cache() is None
    assert cache_folder() is current_cache() is None
    assert "alexnet" in installed()
    assert Bundle.load("alexnet").name == "alexnet"
    with pytest.raises(UsageError, match=r"no home folder for models\. Set HOME or NSTBATCH_HOME"):
        user_folder()
    with pytest.raises(UsageError, match=r"no bundle at .*~/mine"):
        Bundle.load("~/mine")
    monkeypatch.setenv("NSTBATCH_CACHE", "~/cache")
    assert cache_folder() is None


@pytest.mark.usefixtures("nobody")
def test_older_platformdirs_leave_the_tilde_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: Path("~/.cache/nstbatch"))
    assert user_folders.user_cache() is None


def test_a_user_has_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folders.expanded("~/a") == tmp_path / "a"
    for folder in (user_folders.user_data(), user_folders.user_cache()):
        assert folder is not None
        assert os.fspath(folder).endswith("nstbatch")
