"""``/sandbox/…``: for tests and demos, outside the rate windows and without a token."""

import asyncio
import json
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.sandbox.faults.script import Faults
from ecw_pipeline.sandbox.file_replies import NDJSON
from ecw_pipeline.sandbox.outcomes import RefusalError
from ecw_pipeline.sandbox.source import Entry, Selection
from ecw_pipeline.sandbox.state import Sandbox, sandbox_of

_LONGEST_ADVANCE_DAYS = 3_650
_BATCH_BYTES = 1 << 16


async def stats(request: Request) -> Response:
    """What the server saw since it started or was reset."""
    sandbox = sandbox_of(request)
    seen = {**sandbox.statistics.as_json(), "maxima": sandbox.limiter.maxima()}
    return JSONResponse(seen)


async def reset_stats(request: Request) -> Response:
    """Start counting anew; the rate windows themselves go on."""
    sandbox = sandbox_of(request)
    sandbox.statistics.reset()
    sandbox.limiter.forget_maxima()
    return Response(status_code=204)


async def advance(request: Request) -> Response:
    """Let simulated days pass."""
    sandbox = sandbox_of(request)
    days = _days(await request.body())
    counts = await asyncio.to_thread(sandbox.source.advance, days)
    day = sandbox.source.day
    return JSONResponse({"day": day, "now": format_instant(sandbox.simulated.now(day)), **counts})


async def truth(request: Request) -> Response:
    """Every live resource's type, id and version, one JSON object a line."""
    sandbox = sandbox_of(request)
    entries = _entries(sandbox, sandbox.source.resource_types)
    return StreamingResponse(_batches(map(_summary, entries)), media_type=NDJSON)


async def truth_of_type(request: Request) -> Response:
    """The live resources of one type, exactly as an export would write them."""
    sandbox = sandbox_of(request)
    resource_type = request.path_params["resource_type"]
    if resource_type not in sandbox.source.resource_types:
        raise RefusalError(404, "not-found", f"{resource_type} is not served")
    lines = (entry.line or b"" for entry in _entries(sandbox, (resource_type,)))
    return StreamingResponse(_batches(lines), media_type=NDJSON)


async def show_faults(request: Request) -> Response:
    """The faults there are now, as they were given."""
    return JSONResponse(_faults(request).as_json())


async def set_faults(request: Request) -> Response:
    """Have the faults of the body and no others; {} is none."""
    try:
        _faults(request).replace(json.loads(await request.body()))
    except ValueError as error:
        raise RefusalError(400, "structure", 'send {"html_401": {}}') from error
    except ConfigurationError as error:
        raise RefusalError(400, "value", str(error)) from error
    return Response(status_code=204)


def _faults(request: Request) -> Faults:
    faults = request.app.state.faults
    assert isinstance(faults, Faults)  # noqa: S101 - tells the type checker what we put there
    return faults


def _days(body: bytes) -> int:
    try:
        days = json.loads(body or b"{}").get("days", 1)
    except (ValueError, AttributeError) as error:
        raise RefusalError(400, "structure", 'send {"days": 1}') from error
    is_whole = isinstance(days, int) and not isinstance(days, bool)
    if not is_whole or not 0 < days <= _LONGEST_ADVANCE_DAYS:
        raise RefusalError(400, "value", f"days must be 1 to {_LONGEST_ADVANCE_DAYS}")
    return int(days)


def _entries(sandbox: Sandbox, resource_types: tuple[str, ...]) -> Iterator[Entry]:
    selection = Selection(sandbox.source.day, frozenset(resource_types))
    return (entry for entry in sandbox.source.entries(selection) if entry.line is not None)


def _summary(entry: Entry) -> bytes:
    resource = json.loads(entry.line or b"{}")
    summary = {
        "resourceType": entry.resource_type,
        "id": resource.get("id"),
        "versionId": resource.get("meta", {}).get("versionId"),
    }
    return json.dumps(summary).encode() + b"\n"


def _batches(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Join small lines: each item of a streamed reply is a trip to another thread."""
    batch: list[bytes] = []
    size_bytes = 0
    for line in lines:
        batch.append(line)
        size_bytes += len(line)
        if size_bytes >= _BATCH_BYTES:
            yield b"".join(batch)
            batch, size_bytes = [], 0
    yield b"".join(batch)


ROUTES = [
    Route("/sandbox/stats", stats),
    Route("/sandbox/reset-stats", reset_stats, methods=["POST"]),
    Route("/sandbox/advance", advance, methods=["POST"]),
    Route("/sandbox/faults", show_faults),
    Route("/sandbox/faults", set_faults, methods=["POST"]),
    Route("/sandbox/truth", truth),
    Route("/sandbox/truth/{resource_type}", truth_of_type),
]
