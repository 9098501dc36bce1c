"""Who may talk to the service: the host names that it answers to, and the token.

Without a token the service is for the programs and the browser of this machine. A web site that
points its own name here (DNS rebinding) gets nothing, since its name stands in the Host header; and
a page of another site that sends a form here is told by its Origin header.
"""

from __future__ import annotations

import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "nstbatch-token"

# Of every answer: pages run no script but this service's own, and nothing is kept by caches.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

OPEN = frozenset({"/health"})
"""Paths that need no token: whoever watches over the service has none."""


def is_loopback(host: str) -> bool:
    """Return True for an address or a name that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """An ASGI application before another: it refuses who may not come in."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        """Guard an application.

        Args:
            app: The application.
            token: The token that clients must have; None for clients of this machine only.
        """
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, for ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._token is None and host not in _names(scope["server"][1]):
            return _error(403, f"This service answers to localhost only, not to {host!r}.")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return _error(403, "A page of another site may not use this service.")
        if self._token is None or scope["path"] in OPEN:
            return None
        return self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a request without the right token; None if it is right."""
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._is_right(asked):
            # From now on the browser has it, and the address no longer shows it.
            response = RedirectResponse("/", 303)
            response.set_cookie(COOKIE, asked, httponly=True, samesite="strict")
            return response
        kind, _, value = headers.get("authorization", "").partition(" ")
        given = value.strip() if kind.lower() == "bearer" else _cookie(headers)
        if self._is_right(given):
            return None
        said = "Send the token: Authorization: Bearer TOKEN, or open /?token=TOKEN in a browser."
        return _error(401, said, {"WWW-Authenticate": "Bearer"})

    def _is_right(self, given: str) -> bool:
        """Compare in a time that tells nothing of the token."""
        return hmac.compare_digest(given.encode(), (self._token or "").encode())


def _names(port: int) -> set[str]:
    """Return the values of the Host header that stand for this machine."""
    hosts = ("127.0.0.1", "localhost", "[::1]")
    return {f"{host}:{port}" for host in hosts} | ({*hosts} if port == 80 else set())


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": reason}, status, headers)
