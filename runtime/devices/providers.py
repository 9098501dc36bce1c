"""Turns a device's name into session options, and checks that a session really runs there.

:func:`resolve` refuses a device that cannot be used and says why; :func:`assert_on_device` refuses
a session that ONNX Runtime moved to another device. The checks themselves are in :mod:`.devices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.runtime.errors import ProviderError, UnknownNameError

from . import gpu_probe, openvino_probe
from .devices import FATAL_ONLY, Finding, check, conflicting_packages, within_reach
from .named_gpus import device_and_gpu
from .processor import available_cores, threads_within
from .provider_options import (
    BY_TENSORRT,
    EXECUTION_PROVIDERS,
    NO_CHANGES,
    add_provider,
    engine_key,
)

if TYPE_CHECKING:
    import onnxruntime as ort

__all__ = [
    "DEVICES",
    "PRECISIONS",
    "Finding",
    "Provider",
    "assert_on_device",
    "available_cores",
    "check",
    "conflicting_packages",
    "engine_key",
    "precisions_here",
    "resolve",
    "within_reach",
]

DEVICES = ("auto", "cpu", "openvino", "cuda", "tensorrt", "tensorrt-rtx")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

# "auto" takes the first usable one. TensorRT is left out: it builds an engine for minutes before
# its first step, so the user must choose it; and TensorRT for RTX is an early version.
AUTO_ORDER = ("cuda", "openvino", "cpu")

# Devices that "auto" takes only after a trial on this machine.
TRIALS = {"cuda": gpu_probe, "openvino": openvino_probe}

OTHERWISE = "`nstbatch doctor` shows which devices work; the device 'cpu' always does."


@dataclass(frozen=True)
class Provider:
    """A usable device and the precision of its convolutions; see :func:`resolve`."""

    device: str
    precision: str
    gpu: int = 0
    """Number of the GPU, as CUDA counts them."""

    @property
    def memory(self) -> str:
        """The memory that its buffers are in, by ONNX Runtime's name: "cpu" or "cuda"."""
        return "cuda" if self.device in ("cuda", *BY_TENSORRT) else "cpu"

    @property
    def captures(self) -> bool:
        """True if its sessions record their passes as CUDA graphs.

        TensorRT's provider can record, but keeps only one recording per session, and a descent
        needs several.
        """
        return self.device == "cuda"

    @property
    def changes(self) -> Mapping[str, str]:
        """Options of CUDA's provider in the place of the usual ones, for measurements."""
        return NO_CHANGES

    @property
    def plans_memory(self) -> bool:
        """True if ONNX Runtime plans the memory of all activations as one block."""
        # On a GPU such a block needs 1.7 times the memory; docs/gpu.md.
        return self.memory == "cpu"

    @property
    def in_one_thread(self) -> bool:
        """True if all its sessions run in one thread.

        See :mod:`nstbatch.runtime.engine.one_thread`.
        """
        return self.memory == "cuda"

    @property
    def for_targets(self) -> Provider:
        """The provider that computes the targets: in float32, but in bf16 if the steps are in bf16.

        With its weights rounded to bf16 a network is another one. Measured by the same network,
        a picture that agrees with its targets also does so in float32:
        docs/decisions/0032-targets-in-the-precision-of-the-steps.md.
        """
        if self.precision == "bf16":
            return self
        return replace(self.for_few_passes, precision="fp32")

    @property
    def for_updates(self) -> Provider:
        """The provider that runs the optimiser's updates: float32, in the same memory."""
        return replace(self, device=self.memory, precision="fp32")

    @property
    def for_few_passes(self) -> Provider:
        """The provider that runs graphs of a pass or two, such as targets: in the same precision.

        TensorRT would build an engine for each of them, for minutes.
        """
        return replace(self, device="cuda") if self.device in BY_TENSORRT else self

    @property
    def on_any_gpu(self) -> Provider:
        """The same for every GPU of a machine: what is kept on disk serves all of them."""
        return replace(self, gpu=0)

    def session_options(
        self,
        threads: int | None = None,
        *,
        engine: str | None = None,
        engine_folder: Path | None = None,
        captured: bool = False,
        spinning: bool = True,
    ) -> ort.SessionOptions:
        """Return new session options with this provider in them.

        Pass them to ``InferenceSession`` together with ``enable_fallback=0``, otherwise ONNX
        Runtime prints to standard output and continues on the processor. Then call
        :func:`assert_on_device` on the session.

        Args:
            threads: Number of threads that a step may use; at most, and by default, one for each
                core of this process.
            engine: The :func:`engine_key` of the model. Only TensorRT uses it; without one it
                builds its engine again each time.
            engine_folder: Folder where TensorRT keeps its engines; None to keep none.
            captured: True to record passes as CUDA graphs; see :attr:`captures`.
            spinning: True to let threads spin while they wait for work, which keeps cores busy.
        """
        import onnxruntime as ort

        cores = available_cores()
        threads = threads_within(cores, threads)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = FATAL_ONLY  # exceptions say what went wrong
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        if self.memory == "cuda":
            # The logger of the process warns in spite of the session's severity.
            ort.set_default_logger_severity(FATAL_ONLY)
            options.enable_mem_pattern = self.plans_memory
        # With fewer threads than cores, other work uses the remaining cores, so threads must not
        # spin.
        if not spinning or threads < cores:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        add_provider(
            options,
            self.device,
            precision=self.precision,
            engine=engine,
            engine_folder=engine_folder,
            captured=captured,
            gpu=self.gpu,
            changes=self.changes,
        )
        return options


def resolve(device: str = "auto", precision: str = "auto") -> Provider:
    """Return the provider for a device and a precision, after checking that it can be used.

    The device "auto" is the first usable one of CUDA, OpenVINO and the processor; CUDA and OpenVINO
    must have passed a trial on this machine (:mod:`.gpu_probe`, :mod:`.openvino_probe`). The
    precision "auto" is the first of :func:`precisions_here`.

    Args:
        device: One of :data:`DEVICES`; "cuda:1" and the like for another GPU than the first.
        precision: One of :data:`PRECISIONS`.

    Raises:
        UnknownNameError: A name is not in :data:`DEVICES` or :data:`PRECISIONS`, or there is no
            GPU of that number.
        UsageError: It names several devices, or a number for a device that has none.
        ProviderError: It cannot be used; the message says why, and which command would change that.
    """
    device, gpu = device_and_gpu(device)
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    reasons = []
    for candidate in AUTO_ORDER if device == "auto" else (device,):
        finding = check(candidate, gpu)
        reason = _refusal(finding, precision)
        if reason is None and device == "auto" and candidate in TRIALS:
            reason = _distrust(candidate)
        if reason is None:
            chosen = precisions_here(finding)[0] if precision == "auto" else precision
            return Provider(candidate, chosen, gpu)
        reasons.append(reason)
    raise ProviderError("\n".join(reasons))


def precisions_here(finding: Finding) -> tuple[str, ...]:
    """Return the precisions of a usable device, the default first.

    It is bf16 where the processor has it and is faster in it than in fp32. Intel's processors with
    AVX512-BF16 take twice as long in bf16 where AMX is missing, as on many virtual machines:
    docs/decisions/0045-bf16-where-it-is-faster.md.
    """
    if finding.device == "openvino" and len(finding.precisions) > 1:
        return openvino_probe.fastest_first(finding.precisions)
    return finding.precisions


def assert_on_device(session: ort.InferenceSession, provider: Provider) -> None:
    """Raise :class:`ProviderError` unless the session has the provider and gave it some nodes.

    The session must have been opened with :meth:`Provider.session_options`, which make it record
    the nodes of each provider.
    """
    wanted = EXECUTION_PROVIDERS[provider.device]
    if wanted not in session.get_providers():
        raise ProviderError(
            f"The session should run on {wanted}, but runs on {', '.join(session.get_providers())}."
            f" {OTHERWISE}"
        )
    assigned = {part.ep_name for part in session.get_provider_graph_assignment_info()}
    if provider.device != "cpu" and wanted not in assigned:
        raise ProviderError(
            f"{wanted} took no node of the graph; all of it would run on "
            f"{', '.join(sorted(assigned))}. {OTHERWISE}"
        )


def _distrust(device: str) -> str | None:
    """Reason why "auto" does not take a device though it can be used; None if it does."""
    reason = TRIALS[device].reason_against()
    return reason and f"The device {device!r} is not trusted here: {reason}."


def _refusal(finding: Finding, precision: str) -> str | None:
    """Reason why a device cannot compute in a precision, in whole sentences; None if it can."""
    if not finding.usable:
        fix = f" To change that: {finding.fix}" if finding.fix else ""
        return f"The device {finding.device!r} cannot be used: {finding.detail}.{fix}"
    if precision == "auto" or precision in finding.precisions:
        return None
    possible = " and ".join(finding.precisions)
    return f"The device {finding.device!r} computes in {possible} here, not in {precision}."
