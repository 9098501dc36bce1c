"""Commands install into this environment, whatever made it and whatever the shell."""

import shlex
import subprocess
import sys

import pytest

from nstbatch.runtime import installing


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Pretend to be an environment: made by uv or not, with pip or not, with uv or not."""

    def pretend(*, by_uv: bool, has_pip: bool, has_uv: bool) -> None:
        made_by = "uv = 0.9.1\n" if by_uv else "executable = /usr/bin/uv\n"
        (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{made_by}")
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        monkeypatch.setattr(sys, "executable", "/a folder/bin/python")
        monkeypatch.setattr(installing, "find_spec", lambda name: "found" if has_pip else None)
        monkeypatch.setattr(installing.shutil, "which", lambda name: "uv" if has_uv else None)

    return pretend


PIP = "'/a folder/bin/python' -m pip"
UV = "uv pip {} --python '/a folder/bin/python'"


@pytest.mark.parametrize(
    ("by_uv", "has_pip", "has_uv", "uses_uv"),
    [
        (False, True, True, False),  # a usual environment of someone who also has uv
        (False, True, False, False),
        (False, False, True, True),
        (False, False, False, False),  # pip is what its user will have to get
        (True, True, True, True),
        (True, False, False, False),
    ],
)
def test_the_installer_is_that_of_this_environment(environment, by_uv, has_pip, has_uv, uses_uv):
    environment(by_uv=by_uv, has_pip=has_pip, has_uv=has_uv)
    installer = UV.format("install") if uses_uv else f"{PIP} install"
    assert installing.install_command("heic") == f"{installer} 'nstbatch[heic]'"
    uninstaller = UV.format("uninstall") if uses_uv else f"{PIP} uninstall -y"
    assert installing.install_in_place(["a", "b"], "c>=1") == (
        f"{uninstaller} a b && {installer} 'c>=1'"
    )


def test_windows_has_quotes_of_its_own(environment, monkeypatch):
    environment(by_uv=False, has_pip=True, has_uv=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert installing.install("torch>=2", upgrade=True) == (
        '"/a folder/bin/python" -m pip install --upgrade "torch>=2"'
    )


def test_the_command_runs_in_a_shell():
    command = installing.install_command("plot")
    words = shlex.split(command)
    assert words[-1] == "nstbatch[plot]"
    if words[0] == sys.executable:
        shown = subprocess.run(
            [*words[:3], "--version"], capture_output=True, text=True, check=True
        )
        assert shown.stdout.startswith("pip ")
