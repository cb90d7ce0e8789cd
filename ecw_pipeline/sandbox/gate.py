"""The gate every request passes: counted at arrival, refused when it is one too many."""

import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.sandbox.descriptions import TOKEN_PATH
from ecw_pipeline.sandbox.limits import Verdict
from ecw_pipeline.sandbox.outcomes import RefusalError, outcome_response
from ecw_pipeline.sandbox.state import Sandbox

_COUNTED = (BASE_PATH, "/oauth2")


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: ASGIApp, sandbox: Sandbox, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._app, self._sandbox, self._monotonic = app, sandbox, monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 429 in the application's stead."""
        if scope["type"] != "http" or not scope["path"].startswith(_COUNTED):
            await self._app(scope, receive, send)
            return
        wall = self._sandbox.clock.now().timestamp()
        verdict = self._sandbox.limiter.arrive(self._monotonic(), wall)
        self._count(scope)
        app = self._app if verdict.allowed else _throttled(verdict)
        await app(scope, receive, self._with_headers(send, verdict))

    def _count(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        grant = self._sandbox.tokens.grant_of(headers.get("authorization"))
        self._sandbox.statistics.request(
            kind=endpoint_kind(scope["method"], scope["path"]),
            token=f"token-{grant.ordinal}" if grant else "none",
            user_agent=headers.get("user-agent", ""),
            process=headers.get("x-client-process", ""),
        )

    def _with_headers(self, send: Send, verdict: Verdict) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(verdict.headers)
                throttled = not verdict.allowed
                self._sandbox.statistics.answered(message["status"], throttled=throttled)
            await send(message)

        return send_with_headers


def endpoint_kind(method: str, path: str) -> str:
    """Which of the few things a client does this request is."""
    marks = {
        TOKEN_PATH: "token",
        "/$export-status/": "delete" if method == "DELETE" else "status",
        "/$export-file/": "file",
        "/$export": "kickoff",
    }
    return next((kind for mark, kind in marks.items() if mark in path), "other")


def _throttled(verdict: Verdict) -> ASGIApp:
    text = f"more than {verdict.limit} requests in a rate window"
    return outcome_response(RefusalError(429, "throttled", text))
