"""The gate every request passes: counted at arrival, refused when it is one too many.

Faults stand between the two halves: what a fault does to a request was counted before, and a
fault's own refusal carries the headers of the fault.
"""

import time
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.sandbox.descriptions import TOKEN_PATH
from ecw_pipeline.sandbox.limits import Verdict
from ecw_pipeline.sandbox.outcomes import RefusalError, outcome_response
from ecw_pipeline.sandbox.state import Sandbox

_COUNTED = (BASE_PATH, "/oauth2")
_VERDICT = "ecw.verdict"


class Arrivals:
    """ASGI middleware around everything: statistics, the rate windows' verdict, the date."""

    def __init__(
        self, app: ASGIApp, sandbox: Sandbox, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._app, self._sandbox, self._monotonic = app, sandbox, monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_counted(scope):
            wall = self._sandbox.clock.now().timestamp()
            scope[_VERDICT] = self._sandbox.limiter.arrive(self._monotonic(), wall)
            self._count(scope)
        await self._app(scope, receive, self._dated(scope, send))

    def _count(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        grant = self._sandbox.tokens.grant_of(headers.get("authorization"))
        self._sandbox.statistics.request(
            kind=endpoint_kind(scope["method"], scope["path"]),
            token=f"token-{grant.ordinal}" if grant else "none",
            user_agent=headers.get("user-agent", ""),
            process=headers.get("x-client-process", ""),
        )

    def _now(self, scope: Scope) -> datetime:
        """The time; of a search that of the data, which may have been sent days ahead."""
        sandbox = self._sandbox
        if scope["path"].removeprefix(f"{BASE_PATH}/") in sandbox.source.resource_types:
            return sandbox.simulated.now(sandbox.source.day)
        return sandbox.clock.now()

    def _dated(self, scope: Scope, send: Send) -> Send:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = format_datetime(self._now(scope), usegmt=True)
                MutableHeaders(scope=message).setdefault("date", now)
                if is_counted(scope):
                    self._sandbox.statistics.answered(message["status"])
            await send(message)

        return send_dated


class Gate:
    """ASGI middleware around the application: enforces the verdict and shows it in headers."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app, self._sandbox = app, sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 429 in the application's stead."""
        if not is_counted(scope):
            await self._app(scope, receive, send)
            return
        verdict: Verdict = scope[_VERDICT]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(verdict.headers)
            await send(message)

        if not verdict.allowed:
            self._sandbox.statistics.throttled()
        app = self._app if verdict.allowed else _throttled(verdict)
        await app(scope, receive, send_with_headers)


def is_counted(scope: Scope) -> bool:
    """Whether a request is one of a client's, not of a test's at the control routes."""
    return scope["type"] == "http" and str(scope["path"]).startswith(_COUNTED)


def endpoint_kind(method: str, path: str) -> str:
    """Which of the few things a client does this request is."""
    marks = {
        TOKEN_PATH: "token",
        "/$export-status/": "delete" if method == "DELETE" else "status",
        "/$export-file/": "file",
        "/$export": "kickoff",
        f"{BASE_PATH}/Binary/": "attachment",
    }
    return next((kind for mark, kind in marks.items() if mark in path), "fhir")


def _throttled(verdict: Verdict) -> ASGIApp:
    text = f"more than {verdict.limit} requests in a rate window"
    return outcome_response(RefusalError(429, "throttled", text))
