import subprocess
import sys

import torch
from torch import nn

from nstbatch.exporter.networks import zoo


def test_nothing_is_left_in_place_or_in_training():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Sequential(nn.Dropout(inplace=True)))
    image = -torch.ones(1, 3, 2, 2)
    assert zoo.prepared(network) is network
    network(image)
    assert torch.equal(image, -torch.ones(1, 3, 2, 2))
    assert not network.training


def test_every_zoo_file_carries_its_hash():
    for name in ("vgg19", "googlenet", "resnet18", "resnet50"):
        assert zoo.weights(name).url.endswith(".pth")
        assert f"/{name}-" in zoo.weights(name).url


def test_a_torchvision_without_its_compiled_part_is_imported(tmp_path):
    """A stand-in for such a torchvision: it describes an operator that nothing has declared."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import torch\n"
        "for operator in ('nms', 'qnms'):\n"
        "    torch.library.register_fake(f'torchvision::{operator}')(lambda *args: None)\n"
    )
    (package / "models.py").write_text("HERE = True\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from nstbatch.exporter.networks import zoo\n"
        "assert zoo.models().HERE\n"
        "assert zoo.models().HERE\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_torchvision_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from nstbatch.exporter.networks import zoo\n"
        "from nstbatch.runtime.errors import UsageError\n"
        "try: zoo.models()\n"
        "except UsageError as error: print(error)\n"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "pip install 'nstbatch[export]'" in output
