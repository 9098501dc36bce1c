import subprocess
import sys

import numpy as np
import pytest
import typer
from PIL import Image
from typer.main import get_command

import nstbatch
from nstbatch.cli import main
from nstbatch.runtime.devices.providers import check
from nstbatch.runtime.errors import BundleError, UnknownNameError

HEAVY = {"PIL", "cv2", "numpy", "onnx", "onnx_ir", "onnxruntime", "onnxscript", "torch"}
HEAVY |= {"matplotlib", "multiprocessing", "safetensors", "tomli_w"}
HEAVY_PARTS = {"nstbatch.exporter", "nstbatch.runtime.pictures.images", "rich.progress"}
VERBS = get_command(main.app).commands


def nstbatch_program(*arguments: str, code: str = "") -> subprocess.CompletedProcess:
    """Run the program in its own process, then a line of code."""
    script = f"import sys; from nstbatch.cli.main import run; run({list(arguments)!r}); {code}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("--help",),
        *((name, "--help") for name in VERBS),
        ("bench", "compare", "--help"),
    ],
)
def test_help_and_version_import_nothing_heavy(arguments):
    found = nstbatch_program(*arguments, code="print(*sys.modules, file=sys.stderr)")
    imported = set(found.stderr.split())
    assert {"nstbatch.cli.verbs.stylize", "nstbatch.cli.verbs.bench"} <= imported
    assert not imported & (HEAVY | HEAVY_PARTS)
    # A tenth of the time of --help, for the version alone; an option's help imports it for Typer.
    assert "importlib.metadata" not in imported or arguments != ("--help",)


@pytest.mark.parametrize("device", [name for name in ("cpu", "openvino") if check(name).usable])
def test_a_run_of_a_cached_shape_imports_nothing_that_links(device, tmp_path, monkeypatch):
    """Half of the time until the first step went into these imports."""
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path / "cache"))
    imported = []
    for number in range(2):
        values = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        photo, style = tmp_path / f"photo{number}.png", tmp_path / f"style{number}.png"
        Image.fromarray(values).save(photo)
        Image.fromarray(values[::-1]).save(style)
        found = nstbatch_program(
            *("stylize", str(photo), "--style", str(style), "-o", str(tmp_path / f"out{number}")),
            *("--model", "alexnet", "--size", "64", "-n", "2", "--device", device, "--quiet"),
            code="print(*sys.modules, file=sys.stderr)",
        )
        assert (tmp_path / f"out{number}" / f"photo{number}.png").is_file(), found.stderr
        imported.append(set(found.stderr.split()))
    first, second = imported
    assert {"onnx", "onnx_ir", "onnxscript"} <= first
    assert not second & {"onnx", "onnx_ir", "onnxscript", "sympy", "torch"}
    assert {"numpy", "onnxruntime"} <= second


def test_python_m_nstbatch_is_the_program():
    found = subprocess.run(
        [sys.executable, "-m", "nstbatch", "--version"], capture_output=True, text=True
    )
    assert (found.stdout, found.stderr) == (f"nstbatch {nstbatch.__version__}\n", "")
    assert found.returncode == 0
    found = subprocess.run([sys.executable, "-m", "nstbatch", "paint"], capture_output=True)
    assert found.returncode == 2


def test_every_option_of_every_command_says_what_it_is():
    group = typer.main.get_command(main.app)
    groups = [command for command in group.commands.values() if hasattr(command, "commands")]
    assert groups
    below = [command for one in groups for command in one.commands.values()]
    for command in (group, *group.commands.values(), *below):
        assert command.help
        for option in command.params:
            assert option.help, f"{command.name} {option.name}"


@pytest.fixture
def failing(monkeypatch):
    """Return a program whose only verb raises the given error."""

    def program(error: BaseException) -> int:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def verb(verbose: bool = False) -> None:
            raise error

        monkeypatch.setattr(main, "app", app)
        return main.run([])

    return program


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownNameError("model", "vgg61", ["vgg16"]), 2),
        (BundleError("Damaged."), 1),
        (OSError(28, "No space left on device"), 1),
        (KeyboardInterrupt(), 130),
        (typer.Exit(3), 3),
    ],
)
def test_errors_become_exit_codes(failing, capsys, error, code):
    assert failing(error) == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_is_one_message_without_control_characters(failing, capsys):
    failing(BundleError("Damaged: \x1b[2J.\nMore of it."))
    assert capsys.readouterr().err == "nstbatch: Damaged: \\x1b[2J.\nMore of it.\n"


def test_verbose_shows_the_traceback(capsys):
    arguments = ["stylize", "nowhere", "--style", "nowhere.jpg"]
    assert main.run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main.run([*arguments, "--verbose"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(failing):
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


def test_names_that_the_locale_lacks_are_printed_all_the_same(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    found = nstbatch_program("--version", code=r"print('\u6771\u4eac.jpg')")
    assert found.stdout.splitlines()[-1] == r"\u6771\u4eac.jpg"


def test_quiet_and_verbose_exclude_each_other(capsys):
    assert main.run(["stylize", "a.jpg", "--style", "b.jpg", "-q", "-v"]) == 2
    assert "--quiet and --verbose" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_program_ends_with_the_code_of_its_verb(monkeypatch, code):
    monkeypatch.setattr(main, "run", lambda: code)
    with pytest.raises(SystemExit) as ended:
        main.program()
    assert ended.value.code == code


def test_an_interrupted_program_does_not_take_itself_apart_first(monkeypatch):
    class LeftError(Exception):
        pass

    def leave(code):
        raise LeftError(code)

    monkeypatch.setattr(main, "run", lambda: 130)
    monkeypatch.setattr("os._exit", leave)
    with pytest.raises(LeftError, match="130"):
        main.program()


def test_without_onnx_runtime_the_command_to_install_it_is_told(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from nstbatch.cli.main import run\n"
        "sys.exit(run(['stylize', 'a.png', '--style', 'a.png']))"
    )
    program = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert program.returncode == 2
    assert "-m pip install 'onnxruntime>=" in program.stderr
    assert "onnxruntime-gpu" in program.stderr
    assert "Traceback" not in program.stderr
