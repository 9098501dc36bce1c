"""ONNX Runtime prints nothing by itself, in particular no colours into files and pipes."""

import subprocess
import sys

FAILING = """
import logging, sys
import numpy as np
import onnx
from nstbatch.cli.console.logs import import_onnxruntime, set_verbosity
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.open_session import open_session

set_verbosity(quiet=False, verbose="verbose" in sys.argv)
import_onnxruntime()
text = '<ir_version: 10, opset_import: ["": 20]> g (float[4] x, float[1] at) => (float[1] y) '
text += "{ index = Cast <to = 7> (at) y = Gather(x, index) }"
cpu, shapes = Provider("cpu", "fp32"), {"x": (4,), "at": (1,)}
session = open_session(onnx.parser.parse_model(text), shapes, cpu)
try:
    session.run({"x": np.ones(4, np.float32), "at": np.full(1, 9, np.float32)})
except Exception as error:
    print(type(error).__name__, "Gather" in str(error))
"""


def test_a_pass_that_fails_is_an_exception_and_no_red_line():
    for words in ((), ("verbose",)):
        command = [sys.executable, "-c", FAILING, *words]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        assert found.stdout.endswith("True\n")
        assert "\x1b" not in found.stderr
        assert words or found.stderr == ""


def test_what_libraries_print_while_loading_is_dropped():
    code = (
        "import os, sys\n"
        "from nstbatch.cli.console import logs\n"
        "with logs._without_standard_error():\n"
        "    os.write(2, b'from C++')\n"
        "os.write(2, b'later')\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stderr == b"later"


def test_a_closed_standard_error_has_nothing_to_drop():
    code = (
        "import os\n"
        "from nstbatch.cli.console import logs\n"
        "os.close(2)\n"
        "with logs._without_standard_error():\n"
        "    print('went on')\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.split() == [b"went", b"on"]
