"""The sessions of one network: opened once, shared, and dropped; their memory is bounded."""

import subprocess
import sys

import numpy as np
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.descent.optimizers import Adam
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.network_sessions import NetworkSessions
from nstbatch.runtime.errors import StoppedError
from nstbatch.runtime.names import IMAGE, LOSSES
from nstbatch.runtime.needs.peak_memory import KEPT_SESSIONS
from nstbatch.runtime.objectives.terms import content, total_variation
from nstbatch.runtime.systems.style_system import SCALES

CPU = Provider("cpu", "fp32")
TERMS = content("relu1").terms
SHAPE = (1, 3, 32, 40)


@pytest.fixture
def sessions() -> NetworkSessions:
    return NetworkSessions(Bundle.load("alexnet"), 1)


def test_one_request_has_one_session(sessions):
    first = sessions.targets(CPU, TERMS, "avg", SHAPE)
    assert sessions.targets(CPU, TERMS, "avg", SHAPE) is first
    assert sessions.targets(CPU, TERMS, "avg", (1, 3, 40, 32)) is not first
    assert sessions.targets(CPU, TERMS, "max", SHAPE) is not first
    assert sessions.targets(CPU, content("relu2").terms, "avg", SHAPE) is not first
    assert len(sessions) == 4


@pytest.mark.parametrize(("precision", "of_targets"), [("fp16", "fp32"), ("bf16", "bf16")])
def test_targets_are_in_float32_unless_the_steps_are_in_bf16(sessions, precision, of_targets):
    steps, targets = Provider("cpu", precision), Provider("cpu", of_targets)
    expected = sessions.targets(targets, TERMS, "avg", SHAPE)
    assert sessions.targets(steps, TERMS, "avg", SHAPE) is expected


def test_updates_are_in_float32_for_any_precision(sessions):
    half = Provider("cpu", "bf16")
    state = Adam().state_shapes(SHAPE)
    assert sessions.update(half, Adam(), SHAPE, state) is sessions.update(CPU, Adam(), SHAPE, state)


def test_a_step_gives_losses_and_depends_on_the_precision(sessions):
    terms = total_variation().terms
    shapes = {f"weight/{terms[0].name}": (1,), IMAGE: SHAPE}
    step = sessions.step(CPU, terms, (), "avg", shapes)
    assert step.output_shapes[LOSSES] == (1, 1)
    assert sessions.step(CPU, terms, (), "avg", shapes) is step
    assert sessions.step(Provider("cpu", "bf16"), terms, (), "avg", shapes) is not step


def test_the_session_unused_the_longest_makes_room(sessions):
    sessions.keep(2)
    first, second, *_ = (
        sessions.targets(CPU, TERMS, "avg", (1, 3, size, size)) for size in (32, 33, 32, 34)
    )
    assert len(sessions) == 2
    assert sessions.targets(CPU, TERMS, "avg", (1, 3, 32, 32)) is first
    assert sessions.targets(CPU, TERMS, "avg", (1, 3, 33, 33)) is not second


def test_nothing_is_kept_when_it_is_cleared(sessions):
    first = sessions.targets(CPU, TERMS, "avg", SHAPE)
    sessions.clear()
    assert len(sessions) == 0
    assert sessions.targets(CPU, TERMS, "avg", SHAPE) is not first


def test_no_session_runs_after_the_end(sessions):
    images = np.zeros(SHAPE, np.float32)
    before = sessions.targets(CPU, TERMS, "avg", SHAPE)
    before.run({IMAGE: images})
    sessions.terminate()
    for session in (before, sessions.targets(CPU, TERMS, "max", SHAPE)):
        with pytest.raises(StoppedError):
            session.run({IMAGE: images})


def test_all_sessions_of_a_run_are_kept():
    per_scale = 4  # targets of the content and of the style, step and update
    assert SCALES * per_scale <= KEPT_SESSIONS


# Prints the resident kilobytes of its process after each photo of a new shape. Shallow layers,
# since their sessions open fast and their activations are large.
PHOTOS_OF_MANY_SHAPES = """
import sys
import numpy as np
import nstbatch

random = np.random.default_rng(0)
painting = random.random((64, 64, 3), dtype=np.float32)
if sys.argv[1] == "stylize":
    transfer = nstbatch.StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    options = nstbatch.StyleTransferOptions(
        size=256, scales=1, iterations=1, optimizer="adam",
        style_layers={"relu_conv1": 1.0}, content_layers=("conv1",),
    )
    paint = lambda photo: transfer(photo, painting, options)
else:
    dreamer = nstbatch.DeepDream("squeezenet1_1", device="cpu", threads=1)
    options = nstbatch.DreamOptions(size=256, octaves=1, iterations=1, layer="fire2/squeeze1x1")
    paint = lambda photo: dreamer(photo, options)
for height in range(128, 168, 2):
    paint(random.random((height, 256, 3), dtype=np.float32))
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
@pytest.mark.parametrize("verb", ["stylize", "dream"])
def test_memory_does_not_grow_with_every_new_shape(verb):
    """Before the shared arena was shrunk it grew by 199 and 362 MiB between these two photos;
    now by 5 and -4."""
    command = [sys.executable, "-c", PHOTOS_OF_MANY_SHAPES, verb]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    resident = [int(line) / 1024 for line in shown.split()]
    assert len(resident) == 20
    assert resident[19] - resident[7] < 80
