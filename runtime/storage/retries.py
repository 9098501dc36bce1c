"""Requests to a store, tried again when that may help, and errors in plain words.

The libraries' own messages are not passed on: those about the web hold the whole address, with the
signature in it.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from .addresses import RemotePath

if TYPE_CHECKING:
    from tenacity import RetryCallState

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Waits as the AWS SDKs' standard mode has them: a random part of 2^n times the first, at most 20 s
# (AWS SDKs and Tools Reference Guide, "Retry behavior"). More tries than its 3: a batch that runs
# for days meets longer faults. All waits together are 26 s on average, 52 s at most.
TRIES = 9
FIRST_WAIT, LONGEST_WAIT = 0.2, 20.0

# Request timeout, a conditional request that met another one (S3), too many requests; and all from
# 500 on, among them S3's 503 Slow Down. 501 says that the store lacks the operation.
AGAIN = frozenset({408, 409, 425, 429})
FIRST_SERVER_ERROR, LACKING = 500, 501
CONDITION_FAILED = 412
MISSING = (404, 410)
REFUSED = (401, 403)

# What the libraries raise for a connection that was refused, dropped, cut short or too slow, and
# for an answer cut short. None has a common base, and none is imported before it is needed.
_OF_CONNECTIONS = frozenset(
    {
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",
        "ConnectionError",  # botocore
        "HTTPClientError",
        "IncompleteRead",
        "ResponseParserError",
        "ServiceRequestError",  # azure.core
        "ServiceResponseError",
        "IncompleteReadError",
        "TransportError",  # google.auth
        "ChecksumError",  # gcsfs
        "FSTimeoutError",  # fsspec
    }
)

_WORDS_OF_CODES = {"SlowDown": 503, "ServiceUnavailable": 503, "InternalError": 500}


class ChangedMeanwhileError(OSError):
    """An object was to be written on a condition that does not hold: it is another one by now."""


def asked(request: Callable[[], Answer], path: RemotePath) -> Answer:
    """Return the answer of a store; a request that fails for a while is tried again.

    Args:
        request: Sends the request; may be called several times.
        path: The object it is about, for messages.

    Raises:
        FileNotFoundError: There is no such object or bucket.
        PermissionError: The store refuses it.
        ChangedMeanwhileError: A condition does not hold.
        OSError: The request failed, as often as it was tried.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt
    from tenacity.wait import wait_random_exponential

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.debug("%s: %s; asking again", path, _reason(error))

    tries = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        retry=retry_if_exception(may_pass),
        before_sleep=say,
        reraise=True,
    )
    try:
        return tries(request)
    except Exception as error:
        failure = _in_words(error, path)
    raise failure  # not from the library's error, whose message may hold the whole address


def may_pass(error: BaseException) -> bool:
    """Return True for an error after which the same request may succeed."""
    if isinstance(error, ChangedMeanwhileError):
        return False
    status = status_of(error)
    if status is not None:
        return status in AGAIN or (status >= FIRST_SERVER_ERROR and status != LACKING)
    return any(_is_of_connection(each) for each in _causes(error))


def status_of(error: BaseException) -> int | None:
    """Return the status of the HTTP answer that a library has turned into an error, if it was one.

    An answer that was cut short counts as a lost connection, whatever its status.
    """
    for each in _causes(error):
        if _is_of_connection(each):
            return None
        response = getattr(each, "response", None)
        if isinstance(response, dict):  # botocore
            code = response.get("Error", {}).get("Code")
            found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in _WORDS_OF_CODES:  # also in an answer that began with 200
                return _WORDS_OF_CODES[code]
        else:
            # aiohttp, azure.core, gcsfs
            names = ("status", "status_code", "code")
            found = next((v for n in names if isinstance(v := getattr(each, n, None), int)), None)
        if isinstance(found, int) and found:
            return found
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _is_of_connection(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return any(kind.__name__ in _OF_CONNECTIONS for kind in type(error).__mro__)


def _in_words(error: Exception, path: RemotePath) -> OSError:
    status, name = status_of(error), str(path)
    if isinstance(error, ChangedMeanwhileError | FileExistsError) or status == CONDITION_FAILED:
        return ChangedMeanwhileError(errno.EEXIST, "The object has changed meanwhile", name)
    if isinstance(error, FileNotFoundError) or status in MISSING:
        return FileNotFoundError(errno.ENOENT, "There is no such object", name)
    if isinstance(error, PermissionError) or status in REFUSED or _lacks_credentials(error):
        return PermissionError(
            errno.EACCES, f"The store refuses it, or has not got credentials{_of(status)}", name
        )
    if isinstance(error, OSError) and status is None and not may_pass(error):  # of the local disk
        return OSError(error.errno or errno.EIO, error.strerror or "It failed", error.filename)
    return OSError(errno.EIO, f"The store does not do it: {_reason(error)}", name)


def _of(status: int | None) -> str:
    return "" if status is None else f" (status {status})"


def _lacks_credentials(error: BaseException) -> bool:
    return "Credentials" in type(error).__name__  # botocore, google.auth


def _reason(error: BaseException | None) -> str:
    """Return the reason of a failure; never the library's own message."""
    if error is None:
        return "it failed"
    status = status_of(error)
    return f"{type(error).__name__}{_of(status)}"
