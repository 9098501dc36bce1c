"""Which recording belongs to which buffers; recorded and replayed is on a GPU only."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from nstbatch.runtime.devices.providers import DEVICES, Provider, resolve
from nstbatch.runtime.engine import cuda_graphs, onnxruntime_session
from nstbatch.runtime.engine.cuda_graphs import GRAPH_ID, NOT_CAPTURED, WARM_UP, Captures
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.engine.passes import PassOptions
from nstbatch.runtime.errors import StoppedError

CPU = resolve("cpu")
WITHOUT = (None, str(NOT_CAPTURED))
DOUBLE = """
    <ir_version: 9, opset_import: ["" : 20]>
    double (float[N] x) => (float[N] y) { y = Add(x, x) }
"""


def test_each_set_of_buffers_has_a_number_of_its_own():
    numbers = Captures()
    assert [numbers.number(key) for key in ((1, 2), (2, 1), (1, 2), (3,))] == [1, 2, 1, 3]


def test_recordings_come_to_an_end(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MOST_CAPTURES", 2)
    numbers = Captures()
    found = [numbers.number((address,)) for address in (7, 8, 9, 7)]
    assert found == [1, 2, NOT_CAPTURED, 1]


class OnProcessor(Provider):
    """The processor, taken for a device that records; its sessions ignore the numbers."""

    captures = True


@pytest.fixture
def recording():
    graph = onnx.parser.parse_model(DOUBLE)
    return open_session(graph, {"x": (3,)}, OnProcessor("cpu", "fp32"), threads=1, captured=True)


def test_passes_over_other_buffers_are_other_recordings(recording, monkeypatch):
    made = []

    class Options(ort.RunOptions):
        def add_run_config_entry(self, key, value):
            made.append((key, value))
            super().add_run_config_entry(key, value)

    monkeypatch.setattr(cuda_graphs.ort, "RunOptions", Options)
    one, two = recording.buffer([1, 2, 3]), recording.buffer([0, 0, 0])
    there, back = recording.bind({"x": one}, {"y": two}), recording.bind({"x": two}, {"y": one})
    recording.bind({"x": one}, {"y": two})
    assert made == [(GRAPH_ID, "1"), (GRAPH_ID, "2"), (GRAPH_ID, "1")]
    there()
    back()
    np.testing.assert_array_equal(one.numpy(), [4, 8, 12])


def test_the_arena_grows_before_the_first_recording(recording, monkeypatch):
    """During one, CUDA gives no memory."""
    numbers = []
    run = ort.InferenceSession.run_with_iobinding

    def noted(session, binding, options):
        numbers.append(options.get_run_config_entry(GRAPH_ID))
        run(session, binding, options)

    monkeypatch.setattr(ort.InferenceSession, "run_with_iobinding", noted)
    one, two = recording.buffer([1, 2, 3]), recording.buffer([0, 0, 0])
    there, back = recording.bind({"x": one}, {"y": two}), recording.bind({"x": two}, {"y": one})
    there()
    there()
    back()
    assert numbers == [str(NOT_CAPTURED)] * WARM_UP + ["1", "1", "2"]


def test_a_recorded_pass_can_be_terminated_before_it_begins():
    options, graph = PassOptions(), onnx.parser.parse_model(DOUBLE)
    recording = open_session(
        graph,
        {"x": (3,)},
        OnProcessor("cpu", "fp32"),
        threads=1,
        run_options=options,
        captured=True,
    )
    run = recording.bind({"x": recording.buffer([1] * 3)}, {"y": recording.buffer([0] * 3)})
    run()
    options.terminate = True
    with pytest.raises(StoppedError):
        run()


def test_only_cuda_records_and_only_where_asked():
    assert [Provider(device, "fp32").captures for device in ("cpu", "cuda", "tensorrt")] == [
        False,
        True,
        False,
    ]
    graph = onnx.parser.parse_model(DOUBLE)
    for captured in (False, True):
        assert not open_session(graph, {"x": (3,)}, CPU, threads=1, captured=captured).is_captured
    assert not open_session(graph, {"x": (3,)}, OnProcessor("cpu", "fp32"), threads=1).is_captured


def test_a_session_that_cannot_be_recorded_opens_without(monkeypatch, caplog):
    """ONNX Runtime refuses where a node would run on the processor."""
    opened = []

    class Refusing(ort.InferenceSession):
        def __init__(self, graph, options, **others):
            opened.append(options)
            if len(opened) == 1:
                raise RuntimeError("This session cannot use the graph capture feature")
            super().__init__(graph, options, **others)

    monkeypatch.setattr(onnxruntime_session.ort, "InferenceSession", Refusing)
    graph = onnx.parser.parse_model(DOUBLE)
    with caplog.at_level("INFO", onnxruntime_session.__name__):
        plain = open_session(
            graph, {"x": (3,)}, OnProcessor("cpu", "fp32"), threads=1, captured=True
        )
    assert not plain.is_captured
    assert "cannot use the graph capture" in caplog.text
    np.testing.assert_array_equal(plain.run({"x": np.ones(3, np.float32)})["y"], [2, 2, 2])


class Failing(ort.InferenceSession):
    """A session whose recorded passes fail, from one on, and leave an error behind."""

    fails_from = 1
    left_behind: ClassVar[list[str]] = []

    def __init__(self, *arguments, **others):
        super().__init__(*arguments, **others)
        self.recorded = 0

    def run_with_iobinding(self, binding, options=None):
        if options is not None and options.get_run_config_entry(GRAPH_ID) not in WITHOUT:
            self.recorded += 1
            if self.recorded >= self.fails_from:
                self.left_behind.append("operation not permitted when stream is capturing")
                raise RuntimeError(self.left_behind[-1])
        elif self.left_behind:
            raise RuntimeError(self.left_behind.pop())
        super().run_with_iobinding(binding, options)


class Options(ort.RunOptions):
    """Run options that say what was set."""

    def __init__(self):
        super().__init__()
        self.entries = {}

    def add_run_config_entry(self, key, value):
        super().add_run_config_entry(key, value)
        self.entries[key] = value

    def get_run_config_entry(self, key):
        return self.entries.get(key)


@pytest.fixture
def failing(monkeypatch):
    """A function (fails_from) that opens a recording session whose passes fail from then on."""
    monkeypatch.setattr(onnxruntime_session.ort, "InferenceSession", Failing)
    monkeypatch.setattr(cuda_graphs.ort, "RunOptions", Options)

    def opened(fails_from):
        monkeypatch.setattr(Failing, "fails_from", fails_from)
        monkeypatch.setattr(Failing, "left_behind", [])
        graph = onnx.parser.parse_model(DOUBLE)
        provider = OnProcessor("cpu", "fp32")
        return open_session(graph, {"x": (3,)}, provider, threads=1, captured=True)

    return opened


def test_a_recording_that_fails_is_a_pass_without(failing, caplog):
    session = failing(fails_from=1)
    assert session.is_captured
    one, two = session.buffer([1, 2, 3]), session.buffer([0, 0, 0])
    there, back = session.bind({"x": one}, {"y": two}), session.bind({"x": two}, {"y": one})
    with caplog.at_level("INFO", onnxruntime_session.__name__):
        there()
        back()  # bound to the session that records; it is repeated too
        there()
    assert not session.is_captured
    np.testing.assert_array_equal(one.numpy(), [4, 8, 12])
    np.testing.assert_array_equal(two.numpy(), [8, 16, 24])
    assert caplog.text.count("operation not permitted") == 1


def test_a_pass_that_was_recorded_does_not_hide_its_errors(failing):
    session = failing(fails_from=2)
    run = session.bind({"x": session.buffer([1] * 3)}, {"y": session.buffer([0] * 3)})
    run()
    with pytest.raises(RuntimeError, match="not permitted"):
        run()
    assert session.is_captured


class Threads(ort.InferenceSession):
    """A session that notes the threads that open and run it."""

    seen: ClassVar[set[int]] = set()

    def __init__(self, *arguments, **others):
        self.seen.add(threading.get_ident())
        super().__init__(*arguments, **others)

    def run(self, *arguments):
        self.seen.add(threading.get_ident())
        return super().run(*arguments)

    def run_with_iobinding(self, *arguments):
        self.seen.add(threading.get_ident())
        super().run_with_iobinding(*arguments)


class InOneThread(Provider):
    """The processor, taken for a GPU whose sessions share a thread."""

    in_one_thread = True


@pytest.mark.parametrize("kind", [InOneThread, Provider])
def test_sessions_on_a_gpu_run_in_one_thread(kind, monkeypatch):
    monkeypatch.setattr(onnxruntime_session.ort, "InferenceSession", Threads)
    monkeypatch.setattr(Threads, "seen", set())
    provider = kind("cpu", "fp32")

    def work(_):
        session = open_session(onnx.parser.parse_model(DOUBLE), {"x": (3,)}, provider, threads=1)
        result = session.buffer([0, 0, 0])
        session.bind({"x": session.buffer([1, 2, 3])}, {"y": result})()
        return session.run({"x": result.numpy()})["y"]

    with ThreadPoolExecutor(1) as pool:
        found = [work(0), pool.submit(work, 1).result()]
    np.testing.assert_array_equal(found, [[4, 8, 12]] * 2)
    here = threading.get_ident() in Threads.seen
    assert (len(Threads.seen), here) == ((1, False) if kind is InOneThread else (2, True))


def test_which_devices_run_in_one_thread():
    found = {name for name in DEVICES if name != "auto" and Provider(name, "fp32").in_one_thread}
    assert found == {"cuda", "tensorrt", "tensorrt-rtx"}
