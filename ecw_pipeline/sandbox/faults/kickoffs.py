"""Faults of the kick-off request."""

import re
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import JSONResponse, Response

from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.sandbox.faults.exchange import Exchange, Proceed, marked
from ecw_pipeline.sandbox.faults.fault import on_reply, on_request
from ecw_pipeline.sandbox.kickoff import body_parameters
from ecw_pipeline.sandbox.outcomes import RefusalError, outcome_response


# eClinicalWorks refuses with 4xx of several kinds; others answer 409 and point at the job.
@on_reply("kickoff", statuses=(429,))
def already_running(exchange: Exchange, *, status: int = 409, url: str = "none") -> Response:
    """Refuses an export that is already running with this status; url says where the running
    job's address is: none, header (Content-Location) or text (of the OperationOutcome)."""
    asked = _asked(exchange.url)
    jobs = [j for j in exchange.sandbox.exports.running_jobs() if _asked(j.request_url) == asked]
    location = f"{exchange.server_url}{BASE_PATH}/$export-status/{jobs[0].id}" if jobs else ""
    text = "an identical export is already running"
    text += f", see {location}" if url == "text" else ""
    headers = {"Content-Location": location} if url == "header" else {}
    return outcome_response(RefusalError(status, "conflict", text, headers))


def _asked(url: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """What a kick-off URL asks for, whatever the order it says it in."""
    parts = urlsplit(url)
    return parts.path, sorted((k, sorted(v.split(","))) for k, v in parse_qsl(parts.query))


# eClinicalWorks, live: 401 is a bad token or a bad Group, and does not say which.
@on_reply("kickoff", statuses=(404,))
def bad_group(*, status: int = 401) -> Response:
    """Answers 401 to the export of a Group it does not know."""
    return outcome_response(RefusalError(status, "login", "unauthorized"))


async def _nothing(exchange: Exchange, _: Proceed) -> Response:
    sandbox = exchange.sandbox
    now = sandbox.simulated.now(sandbox.source.day)
    manifest = {
        "transactionTime": format_instant(now),
        "request": f"{exchange.server_url}{BASE_PATH}/$export",
        "requiresAccessToken": True,
        "output": [],
        "error": [],
    }
    return JSONResponse(manifest)


# Servers that read a Group as a search: no such Group has no members, and that is no error.
@on_reply("kickoff", statuses=(404,), serve=_nothing)
def unknown_group_is_empty(exchange: Exchange) -> Response:
    """Exports a Group it does not know, as an empty manifest."""
    url = f"{exchange.server_url}{BASE_PATH}/$export-status/nobody"
    location = marked(url, "unknown_group_is_empty")
    return Response(status_code=202, headers={"Content-Location": location})


# Servers of Bulk Data 1.0, eClinicalWorks among them, that mind what they do not know.
@on_request("kickoff")
def refused_parameters(
    exchange: Exchange,
    *,
    parameters: tuple[str, ...] = ("_typeFilter", "_elements", "includeAssociatedData"),
    status: int = 400,
) -> Response | None:
    """Refuses a kick-off with one of these parameters, handling=lenient or not."""
    named = {name for name, _ in exchange.query}
    if exchange.scope["method"] == "POST":
        named |= {name for name, _ in body_parameters(exchange.body)}
    refused = sorted(named & set(parameters))
    if not refused:
        return None
    text = f"the parameter {refused[0]} is not supported"
    return outcome_response(RefusalError(status, "not-supported", text))


# Servers that read instants with one fixed pattern.
@on_request("kickoff")
def strict_since(
    exchange: Exchange, *, pattern: str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
) -> Response | None:
    """Refuses a _since that is not written by this pattern: milliseconds and Z unless said."""
    since = dict(exchange.query).get("_since")
    if since is None or re.fullmatch(pattern, since):
        return None
    return outcome_response(RefusalError(400, "value", "_since cannot be parsed"))


# Servers that compare the Prefer header as a whole.
@on_request("kickoff")
def strict_prefer(exchange: Exchange) -> Response | None:
    """Refuses a kick-off whose Prefer header is anything but respond-async."""
    if exchange.headers.get("prefer", "").strip() == "respond-async":
        return None
    text = "handling=lenient is not supported: the Prefer header must be respond-async"
    return outcome_response(RefusalError(400, "not-supported", text))


async def _same_node(exchange: Exchange, proceed: Proceed) -> Response:
    if "affinity=node-7" in exchange.headers.get("cookie", ""):
        return await proceed()
    text = "there is no such export job on this node"
    return outcome_response(RefusalError(404, "not-found", text))


# eClinicalWorks' gateways and others with several nodes, each of which knows its own jobs only.
@on_reply("kickoff", statuses=(202,), serve=_same_node)
def affinity_cookie(reply: Response) -> None:
    """Sets a cookie at kick-off; status requests without it are answered 404."""
    reply.headers["set-cookie"] = "affinity=node-7; Path=/; HttpOnly"
    location = reply.headers["content-location"]
    reply.headers["content-location"] = marked(location, "affinity_cookie")


FAULTS = (
    affinity_cookie,
    refused_parameters,
    strict_since,
    strict_prefer,
    already_running,
    bad_group,
    unknown_group_is_empty,
)
