"""Every verb computes on OpenVINO what it computes on the processor, in fp32."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.runtime.devices.providers import check
from nstbatch.runtime.pictures.images import read

pytestmark = pytest.mark.skipif(not check("openvino").usable, reason="OpenVINO is not here")

MODEL = ("--model", "squeezenet1_1", "--precision", "fp32")
VERBS = {
    "stylize": ("stylize", "photo.png", "-s", "style.png", "--size", "64", "--iterations", "4"),
    "texture": ("texture", "photo.png", "--size", "64", "--iterations", "4"),
    "tileable texture": ("texture", "photo.png", "--size", "64", "--iterations", "4", "--tileable"),
    "reconstruct": ("reconstruct", "photo.png", "--size", "64", "--iterations", "4"),
    "dream": ("dream", "photo.png", "--size", "96", "--iterations", "2", "--octaves", "2"),
    "guided dream": (
        "dream",
        "photo.png",
        "--size",
        "96",
        "--iterations",
        "2",
        "--guide",
        "style.png",
    ),
    "class": ("dream", "--class", "goldfish", "--size", "96", "--iterations", "4"),
    "deconv": ("deconv", "photos", "--layer", "fire3/concat", "--filters", "2", "--size", "96"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for seed, name in enumerate(("photo", "style", *(f"photos/{n}" for n in range(9)))):
        colours = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((128, 96), Image.Resampling.BICUBIC).save(f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_makes_the_same_pictures_as_on_the_processor(verb):
    for device in ("cpu", "openvino"):
        assert run([*VERBS[verb], *MODEL, "--device", device, "-o", device]) == 0
    made = sorted(path.relative_to("cpu") for path in Path("cpu").rglob("*.png"))
    assert made
    for path in made:
        ours, theirs = (read(Path(device, path)).pixels for device in ("cpu", "openvino"))
        # A step amplifies the rounding of the one before.
        assert np.abs(ours - theirs).mean() < 0.02, path
