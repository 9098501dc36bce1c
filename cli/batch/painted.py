"""The results of the library, as the pictures of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nstbatch.runtime.errors import NonFiniteError, NstbatchError

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painting
    from nstbatch.runtime.descent.loop import StopReason
    from nstbatch.runtime.systems.system import Result


def check_finished(reason: StopReason) -> None:
    """Raise the error of a painter whose run ended early."""
    from nstbatch.runtime.descent.loop import StopReason

    if reason is StopReason.STOPPED:
        raise KeyboardInterrupt
    if reason is StopReason.NON_FINITE:
        raise NonFiniteError(reason.value)
    if not reason.is_success:
        raise NstbatchError(reason.value)


def painting_of(result: Result) -> Painting:
    """Return the picture of a finished run; see :func:`check_finished`."""
    from nstbatch.cli.jobs.painting import Painting

    check_finished(result.reason)
    return Painting(
        result.image,
        result.alpha,
        result.losses,
        result.steps,
        result.provider,
        result.precision,
        seconds=result.seconds,
    )
