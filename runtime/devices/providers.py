"""From a device's name to session options, and to a session that really runs there.

:func:`resolve` refuses what cannot be had and says why; :func:`assert_on_device` refuses what ONNX
Runtime may hand out in its place. The checks themselves are in :mod:`.devices`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.runtime.errors import ProviderError, UnknownNameError

from .devices import Finding, check, conflicting_packages, within_reach
from .processor import available_cores
from .provider_options import EXECUTION_PROVIDERS, add_provider, engine_key

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
    "resolve",
    "within_reach",
]

DEVICES = ("auto", *EXECUTION_PROVIDERS)
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

# "auto" takes the first of these that is usable. TensorRT is left out: it builds an engine for
# minutes before its first step, which nobody who did not ask for it would expect.
AUTO_ORDER = ("cuda", "openvino", "cpu")

ERRORS_ONLY = 3  # of ONNX Runtime's log severities


@dataclass(frozen=True)
class Provider:
    """A usable device and the precision that convolutions run in there; see :func:`resolve`."""

    device: str
    precision: str

    @property
    def execution_provider(self) -> str:
        """ONNX Runtime's name for it, such as ``"OpenVINOExecutionProvider"``."""
        return EXECUTION_PROVIDERS[self.device]

    @property
    def memory(self) -> str:
        """Where its buffers lie, in ONNX Runtime's word: "cpu" or "cuda"."""
        return "cuda" if self.device in ("cuda", "tensorrt") else "cpu"

    @property
    def captures(self) -> bool:
        """Whether its sessions can record their passes as CUDA graphs.

        TensorRT's provider can, but keeps one recording a session, and a descent has several.
        """
        return self.device == "cuda"

    @property
    def copies_inputs(self) -> bool:
        """Whether sessions copy an input when it is bound, and miss what is written to it later.

        OpenVINO's plugin does: its inputs lie in a memory of its own, to which ONNX Runtime copies
        what lies elsewhere, once (microsoft/onnxruntime#5857). What is built into ONNX Runtime
        reads them anew, and binding them again costs it nothing.
        """
        return self.device == "openvino"

    @property
    def for_updates(self) -> Provider:
        """What runs the optimiser beside it: in float32, and over the same buffers."""
        return replace(self, device=self.memory, precision="fp32")

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

        With these options, pass ``enable_fallback=0`` to ``InferenceSession``, or ONNX Runtime
        prints to standard output and carries on with the processor, and call
        :func:`assert_on_device` on what comes back.

        Args:
            threads: How many threads a step may use; every core this process has by default.
            engine: The :func:`engine_key` of the model. Only TensorRT looks at it, and without
                one it builds its engine anew each time.
            engine_folder: Where TensorRT keeps its engines; None to keep none.
            captured: Whether passes are recorded as CUDA graphs; see :attr:`captures`.
            spinning: Whether threads of it that wait for work keep their cores busy meanwhile.
        """
        import onnxruntime as ort

        cores = available_cores()
        threads = threads or cores
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        # With fewer threads than cores, the others are somebody else's: wait without burning them.
        # OpenVINO brings threads of its own, and ONNX Runtime's have nothing to do beside them.
        if not spinning or threads < cores or self.device == "openvino":
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        add_provider(
            options,
            self.device,
            precision=self.precision,
            threads=threads,
            engine=engine,
            engine_folder=engine_folder,
            captured=captured,
        )
        return options


def resolve(device: str = "auto", precision: str = "auto") -> Provider:
    """Turn what was asked for into a provider that is there and computes in that precision.

    "auto" is the first usable of CUDA, OpenVINO and the processor, in the first precision it
    offers (:attr:`.devices.Finding.precisions`).

    Raises:
        UnknownNameError: For a name that is not in :data:`DEVICES` or :data:`PRECISIONS`.
        ProviderError: When it is not there; says why, and which command would change that.
    """
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    reasons = []
    for candidate in AUTO_ORDER if device == "auto" else (device,):
        finding = check(candidate)
        reason = _refusal(finding, precision)
        if reason is None:
            return Provider(candidate, finding.precisions[0] if precision == "auto" else precision)
        reasons.append(reason)
    raise ProviderError("\n".join(reasons))


def assert_on_device(session: ort.InferenceSession, provider: Provider) -> None:
    """Raise :class:`ProviderError` unless the session has the provider and gave it some nodes.

    Of the nodes only a session made with :meth:`Provider.session_options` knows.
    """
    wanted = provider.execution_provider
    if wanted not in session.get_providers():
        raise ProviderError(
            f"The session was asked to run on {wanted} and runs on "
            f"{', '.join(session.get_providers())}."
        )
    assigned = {part.ep_name for part in session.get_provider_graph_assignment_info()}
    if provider.device != "cpu" and wanted not in assigned:
        raise ProviderError(
            f"{wanted} took no part of the graph; all of it would run on "
            f"{', '.join(sorted(assigned))}."
        )


def _refusal(finding: Finding, precision: str) -> str | None:
    """Say why a device cannot do what was asked, in whole sentences; None if it can."""
    if not finding.usable:
        fix = f" To change that: {finding.fix}" if finding.fix else ""
        return f"The device {finding.device!r} cannot be used: {finding.detail}.{fix}"
    if precision == "auto" or precision in finding.precisions:
        return None
    possible = " and ".join(finding.precisions)
    return f"The device {finding.device!r} computes in {possible} here, not in {precision}."
