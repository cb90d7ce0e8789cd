"""The FHIR and OAuth endpoints. What they decide lives in the modules they call."""

import asyncio
import base64
import json
from email.utils import format_datetime
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.sandbox.descriptions import TOKEN_PATH, capability_statement, smart_configuration
from ecw_pipeline.sandbox.exports import LINKS_LIVE, Job
from ecw_pipeline.sandbox.file_replies import content_reply, stored_content
from ecw_pipeline.sandbox.json_text import from_line
from ecw_pipeline.sandbox.kickoff import body_parameters, query_parameters, read_kick_off
from ecw_pipeline.sandbox.outcomes import FHIR_JSON, RefusalError, TokenRefusalError
from ecw_pipeline.sandbox.sign_ins import GRANT_TYPES
from ecw_pipeline.sandbox.state import Sandbox, sandbox_of, server_url
from ecw_pipeline.sandbox.stats import StartedExport
from ecw_pipeline.sandbox.tokens import Grant

_LARGEST_BODY_BYTES = 1 << 20


async def smart(request: Request) -> Response:
    """Discovery; needs no token."""
    sandbox = sandbox_of(request)
    scopes = [*sandbox.tokens.scopes_supported, *sandbox.sign_ins.scopes_supported]
    return JSONResponse(smart_configuration(server_url(request), scopes))


async def metadata(request: Request) -> Response:
    """CapabilityStatement; needs no token."""
    sandbox = sandbox_of(request)
    date = format_instant(sandbox.config.started_at)
    body = capability_statement(server_url(request), date, sandbox.source.resource_types)
    return JSONResponse(body, media_type=FHIR_JSON)


async def token(request: Request) -> Response:
    """The token endpoint."""
    form = await form_of(request)
    sandbox = sandbox_of(request)
    desk = sandbox.sign_ins if form.get("grant_type") in GRANT_TYPES else sandbox.tokens
    issued = desk.issue(
        form, request.headers.get("authorization"), server_url(request) + TOKEN_PATH
    )
    return JSONResponse(issued, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


async def kick_off(request: Request) -> Response:
    """``$export`` at any level."""
    sandbox, grant = _authorized(request)
    group = request.path_params.get("group")
    level = "group" if group is not None else request.scope["path"].split("/")[-2].lower()
    level = level if level in ("group", "patient") else "system"
    parameters = query_parameters(request.url.query)
    if request.method == "POST":
        parameters += body_parameters(await _body(request))
    wanted = read_kick_off(level, group, request.headers, parameters, sandbox.source, grant)
    job = await asyncio.to_thread(sandbox.exports.start, wanted, grant.client_id, str(request.url))
    sandbox.statistics.export_started(
        StartedExport(job.id, level, group, list(wanted.resource_types), wanted.since_text)
    )
    location = f"{server_url(request)}{BASE_PATH}/$export-status/{job.id}"
    return Response(status_code=202, headers={"Content-Location": location})


async def status(request: Request) -> Response:
    """Poll a job, or delete it."""
    sandbox, grant = _authorized(request)
    job = sandbox.exports.find(request.path_params["job"], grant.client_id)
    if request.method == "DELETE":
        await asyncio.to_thread(sandbox.exports.delete, job)
        return Response(status_code=202)
    if job.failure is not None:
        raise RefusalError(500, "exception", job.failure)
    if sandbox.exports.is_running(job):
        return _running(sandbox, job)
    expires_at = format_datetime(sandbox.clock.now() + LINKS_LIVE, usegmt=True)
    manifest = sandbox.exports.manifest(job, server_url(request))
    return JSONResponse(manifest, headers={"Expires": expires_at})


async def file(request: Request) -> Response:
    """One file of a finished job."""
    sandbox, grant = _authorized(request)
    job = sandbox.exports.find(request.path_params["job"], grant.client_id)
    written = sandbox.exports.file(job, request.path_params["name"])
    content = stored_content(written, request.headers)
    reply, size_bytes = content_reply(request.headers, content)
    sandbox.statistics.file_sent(f"{job.id}/{written.name}", size_bytes)
    return reply


async def read(request: Request) -> Response:
    """One resource by type and id, as it is now."""
    sandbox, grant = _authorized(request)
    resource_type = request.path_params["resource_type"]
    sight = grant.sight(resource_type)
    find = sandbox.source.find
    line = await asyncio.to_thread(find, resource_type, request.path_params["id"])
    if line is None or not sight.keeps(from_line(line)):
        raise RefusalError(404, "not-found", "there is no such resource")
    return Response(line.rstrip(b"\r\n"), media_type=FHIR_JSON)


async def binary(request: Request) -> Response:
    """A Binary: the document itself, or FHIR JSON for who asks for that first.

    Source: FHIR R4, "Binary", "Serving Binary Resources using the RESTful API".
    """
    sandbox, grant = _authorized(request)
    if not grant.covers("Binary"):
        raise RefusalError(403, "forbidden", "no scope for Binary")
    resource_id = request.path_params["id"]
    line = await asyncio.to_thread(sandbox.source.find, "Binary", resource_id)
    if line is None:
        raise RefusalError(404, "not-found", "there is no such document")
    resource = json.loads(line)
    body, media_type = base64.b64decode(resource["data"]), resource["contentType"]
    if request.headers.get("accept", "").startswith(FHIR_JSON):
        body, media_type = line.rstrip(b"\r\n"), FHIR_JSON
    sandbox.statistics.file_sent(f"Binary/{resource_id}", len(body))
    return Response(body, media_type=media_type)


def _running(sandbox: Sandbox, job: Job) -> Response:
    headers = {
        "Retry-After": str(sandbox.config.retry_after_seconds),
        "X-Progress": f"{sandbox.exports.percent(job)}% Completed",
    }
    return Response(status_code=202, headers=headers)


def _authorized(request: Request) -> tuple[Sandbox, Grant]:
    sandbox = sandbox_of(request)
    return sandbox, sandbox.tokens.require(request.headers.get("authorization"))


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form-encoded body.

    Raises:
        TokenRefusalError: it is encoded otherwise.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise TokenRefusalError("invalid_request", "the body must be form-encoded")
    return dict(parse_qsl((await _body(request)).decode("utf-8", "replace")))


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY_BYTES:
            raise RefusalError(413, "too-long", "the request body is too large")
    return body


_BOTH = ["GET", "POST"]
ROUTES = [
    Route(TOKEN_PATH, token, methods=["POST"]),
    Route(f"{BASE_PATH}/.well-known/smart-configuration", smart),
    Route(f"{BASE_PATH}/metadata", metadata),
    Route(f"{BASE_PATH}/$export", kick_off, methods=_BOTH),
    Route(f"{BASE_PATH}/Patient/$export", kick_off, methods=_BOTH),
    Route(f"{BASE_PATH}/Group/{{group}}/$export", kick_off, methods=_BOTH),
    Route(f"{BASE_PATH}/$export-status/{{job}}", status, methods=["GET", "DELETE"]),
    Route(f"{BASE_PATH}/$export-file/{{job}}/{{name}}", file),
    Route(f"{BASE_PATH}/Binary/{{id}}", binary),
    Route(f"{BASE_PATH}/{{resource_type}}/{{id}}", read),
]
