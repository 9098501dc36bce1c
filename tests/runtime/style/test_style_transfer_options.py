import math
import subprocess
import sys

import pytest

from nstbatch.runtime.errors import UnknownNameError, UsageError
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 0),
        ("iterations", 0),
        ("scales", 0),
        ("content_weight", -1.0),
        ("style_weight", math.nan),
        ("tv_weight", math.inf),
        ("learning_rate", 0.0),
        ("seed", -1),
    ],
)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=f"The {name} must be .* not {value}"):
        StyleTransferOptions(**{name: value})


@pytest.mark.parametrize("name", ["optimizer", "init", "pooling"])
def test_unknown_choices_list_the_right_ones(name):
    with pytest.raises(UnknownNameError, match=f"Unknown {name} 'other'.*Known: "):
        StyleTransferOptions(**{name: "other"})


def test_a_bad_weight_names_its_layer():
    with pytest.raises(UsageError, match="weight of relu1_1"):
        StyleTransferOptions(style_layers={"relu1_1": -1})


def test_the_defaults_cost_no_heavy_import():
    code = (
        "import sys, nstbatch.runtime.style.style_transfer_options;"
        "import nstbatch.runtime.devices.providers;"
        "print(*{'numpy', 'onnx', 'onnxruntime', 'cv2', 'PIL', 'torch'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
