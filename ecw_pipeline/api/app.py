"""The API as a web application: reads requests, calls `jobs`, puts errors into words."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ecw_pipeline.api import jobs
from ecw_pipeline.api.openapi import document
from ecw_pipeline.api.shapes import BulkExportBody, EnhancedSyncBody, Job, SyncResult
from ecw_pipeline.errors import (
    ConfigurationError,
    EcwError,
    MachineError,
    ProtocolError,
    TemporaryError,
)
from ecw_pipeline.stages.exports import ExportUnderWayError, NotUnderWayError
from ecw_pipeline.stages.lake import Lake

LARGEST_BODY_BYTES = 1 << 20
OPENAPI_URL = "/api/openapi.json"
_SYNCS_AT_A_TIME = 4
# The first class that fits gives the status and the code.
_ANSWERS: tuple[tuple[type[EcwError], int, str], ...] = (
    (jobs.UnknownError, 404, "NOT_FOUND"),
    (ExportUnderWayError, 409, "EXPORT_UNDER_WAY"),
    (NotUnderWayError, 409, "NOT_UNDER_WAY"),
    (ConfigurationError, 400, "BAD_REQUEST"),
    (TemporaryError, 503, "SERVER_UNAVAILABLE"),
    (ProtocolError, 502, "SERVER_REFUSED"),
    (MachineError, 507, "MACHINE"),
    (EcwError, 500, "BAD_DATA"),
)
_DEFAULT_RETRY_SECONDS = 60.0

Body = TypeVar("Body", bound=BaseModel)


class _Refusal(Exception):  # noqa: N818 - a request of this API is wrong, not we
    def __init__(self, status: int, code: str, message: str, next_step: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.next_step = status, code, message, next_step


def create_app(lake: Lake, *, version: str, wait_seconds: float, hosts: list[str]) -> Starlette:
    """The application over one lake.

    Args:
        wait_seconds: how long a sync may take before the caller is sent to ask after it.
        hosts: the names it may be called by; others may be a web page's trick to reach it.
    """
    app = Starlette(
        routes=[
            Route(jobs.JOBS_URL, _bulk_exports, methods=["GET", "POST"]),
            Route(f"{jobs.JOBS_URL}/{{id}}", _bulk_export, methods=["GET", "DELETE"]),
            Route(f"{jobs.JOBS_URL}/{{id}}/files/{{number:int}}", _file),
            Route(f"{jobs.BASE}/enhanced-sync", _enhanced_sync, methods=["POST"]),
            Route(f"{jobs.BASE}/capabilities", _capabilities),
            Route(OPENAPI_URL, _openapi),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={
            EcwError: _told,
            _Refusal: _refused,
            HTTPException: _not_served,
        },
    )
    app.state.lake, app.state.wait_seconds = lake, wait_seconds
    app.state.openapi = document(version)
    app.state.syncs = ThreadPoolExecutor(_SYNCS_AT_A_TIME, thread_name_prefix="sync")
    return app


async def _bulk_exports(request: Request) -> Response:
    lake = _lake(request)
    if request.method == "POST":
        body = await _read(request, BulkExportBody)
        job = await asyncio.to_thread(jobs.ask, lake, body)
        return _data(job, status_code=202)
    connection_id = request.query_params.get("connectionId")
    if connection_id is not None:
        jobs.known_connection(lake, connection_id)
    exports = await asyncio.to_thread(lake.ledger.exports, connection_id)
    return _data([jobs.job_of(lake, export) for export in reversed(exports)])


async def _bulk_export(request: Request) -> Response:
    lake, export_id = _lake(request), request.path_params["id"]
    if request.method == "DELETE":
        return _data(await asyncio.to_thread(jobs.cancel, lake, export_id), status_code=202)
    return _data(await asyncio.to_thread(jobs.look_after, lake, export_id))


async def _file(request: Request) -> Response:
    export_id, number = request.path_params["id"], request.path_params["number"]
    path = await asyncio.to_thread(jobs.received_file, _lake(request), export_id, number)
    packed = {"Content-Encoding": "gzip"} if path.suffix == ".gz" else {}
    return FileResponse(path, media_type="application/fhir+ndjson", headers=packed)


async def _enhanced_sync(request: Request) -> Response:
    """Wait for a while; then the caller asks after the export, and the sync goes on."""
    lake = _lake(request)
    body = await _read(request, EnhancedSyncBody)
    asked = await asyncio.to_thread(jobs.sync, lake, body)
    loop = asyncio.get_running_loop()
    finishing = loop.run_in_executor(request.app.state.syncs, jobs.finish, lake, asked)
    finishing.add_done_callback(lambda done: done.exception())  # told by the export's own state
    done, _ = await asyncio.wait({finishing}, timeout=request.app.state.wait_seconds)
    if done:
        return _data(finishing.result())
    return _data(jobs.job_of(lake, lake.ledger.export(asked[0].export_id)), status_code=202)


async def _capabilities(request: Request) -> Response:
    connection_id = request.query_params.get("connectionId", "")
    if not connection_id:
        raise _Refusal(400, "BAD_REQUEST", "connectionId is missing", "add ?connectionId=…")
    return _data(await asyncio.to_thread(jobs.capabilities, _lake(request), connection_id))


async def _openapi(request: Request) -> Response:
    return JSONResponse(request.app.state.openapi)


async def _read(request: Request, shape: type[Body]) -> Body:
    """The body of a request.

    A browser sends JSON to us only after it has asked whether it may, which is never allowed: no
    web page can make its visitor's browser start an export.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Refusal(415, "BAD_REQUEST", "the body is not JSON", "send application/json")
    text = b""
    async for chunk in request.stream():
        text += chunk
        if len(text) > LARGEST_BODY_BYTES:
            raise _Refusal(413, "BAD_REQUEST", "the body is too large", "name fewer types")
    try:
        return shape.model_validate_json(text)
    except ValidationError as error:
        raise _Refusal(400, "BAD_REQUEST", _in_words(error), f"see {OPENAPI_URL}") from None


def _in_words(error: ValidationError) -> str:
    """Each field that is wrong and why, without what was sent beyond its name."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    )


def _lake(request: Request) -> Lake:
    lake: Lake = request.app.state.lake
    return lake


def _data(found: Job | SyncResult | Any, status_code: int = 200) -> Response:
    many = found if isinstance(found, list) else [found]
    documents = [one.model_dump(mode="json", exclude_none=True) for one in many]
    data = documents if isinstance(found, list) else documents[0]
    return JSONResponse({"success": True, "data": data}, status_code=status_code)


def _error(
    status: int, code: str, message: str, next_step: str, retry_after: float | None = None
) -> Response:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:.0f}"}
    problem = {"code": code, "message": message, "next": next_step}
    return JSONResponse({"success": False, "error": problem}, status, headers)


def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, EcwError)  # noqa: S101 - tells the type checker what comes here
    status, code = next((s, c) for kind, s, c in _ANSWERS if isinstance(error, kind))
    retry_after = None
    if isinstance(error, TemporaryError):
        retry_after = error.retry_after_seconds or _DEFAULT_RETRY_SECONDS
    return _error(status, code, error.message, error.next_step, retry_after)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, _Refusal)  # noqa: S101 - as above
    return _error(error.status, error.code, error.message, error.next_step)


def _not_served(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    code = "NOT_FOUND" if error.status_code == 404 else "BAD_REQUEST"
    reply = _error(error.status_code, code, "not served here", f"see {OPENAPI_URL}")
    reply.headers.update(error.headers or {})
    return reply


Scope = dict[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class RequireKey:
    """Lets only requests with the key through, as ``Authorization: Bearer``."""

    def __init__(self, inner: Application, key: str) -> None:
        self._inner, self._expected = inner, f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                refusal = _error(401, "UNAUTHORIZED", "the key is missing or wrong", "ECW_API_KEY")
                refusal.headers["WWW-Authenticate"] = "Bearer"
                await refusal(scope, receive, send)
                return
        await self._inner(scope, receive, send)
