"""The options of ONNX Runtime's passes: they end passes, and give memory back."""

from __future__ import annotations

import onnxruntime as ort

from nstbatch.runtime.devices.providers import Provider

# ONNX Runtime's kOrtRunOptionsConfigEnableMemoryArenaShrinkage
# (onnxruntime_run_options_config_keys.h): the arenas to shrink after a pass.
SHRINKAGE = "memory.enable_memory_arena_shrinkage"


class PassOptions:
    """The options of all passes of the sessions that share them.

    The first pass of a session gives back what the shared arena holds for other shapes: the arena
    keeps what every shape has needed, so a batch of many shapes would grow without end. After every
    pass that would take a quarter of a step of VGG16, since the next pass gets its pages anew from
    the system: docs/decisions/0024-memory.md. On a GPU each session has an arena of its own, and
    the sessions of targets, which are kept for other photos, need theirs for one pass only.
    """

    def __init__(self) -> None:
        self.usual = ort.RunOptions()
        """Options of every pass but the first."""
        self._first: dict[str, ort.RunOptions] = {}

    def first(self, provider: Provider) -> ort.RunOptions:
        """Return the options of the first pass of a session of a provider."""
        arena = f"gpu:{provider.gpu}" if provider.memory == "cuda" else "cpu:0"
        if arena not in self._first:
            options = self._first[arena] = ort.RunOptions()
            options.add_run_config_entry(SHRINKAGE, arena)
            options.terminate = self.usual.terminate
        return self._first[arena]

    @property
    def terminate(self) -> bool:
        """True to end the running pass, and all later ones; may be set from any thread."""
        return bool(self.usual.terminate)

    @terminate.setter
    def terminate(self, value: bool) -> None:
        for options in (self.usual, *list(self._first.values())):
            options.terminate = value
