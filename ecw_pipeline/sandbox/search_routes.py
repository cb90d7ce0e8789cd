"""FHIR search at the sandbox: ``GET /Type?…``, in pages, and several in one batch.

Source: FHIR R4, "Search", "batch/transaction".
"""

import asyncio
import json
from collections.abc import Callable
from itertools import islice
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.sandbox.json_text import from_line
from ecw_pipeline.sandbox.kickoff import query_parameters
from ecw_pipeline.sandbox.outcomes import FHIR_JSON, RefusalError, outcome
from ecw_pipeline.sandbox.searching import Search
from ecw_pipeline.sandbox.source import Selection
from ecw_pipeline.sandbox.state import Sandbox, sandbox_of, server_url

_MOST_OF_A_PAGE = 200
_OFFSET = "_offset"


async def search(request: Request) -> Response:
    """One page of what a search finds, as things are now."""
    return Response(await _page(request, str(request.url)), media_type=FHIR_JSON)


async def batch(request: Request) -> Response:
    """The first pages of several searches, each answered or refused by itself."""
    sandbox_of(request).tokens.require(request.headers.get("authorization"))
    entries = []
    for asked in await _searches(request):
        try:
            found = await _page(request, urljoin(f"{server_url(request)}{BASE_PATH}/", asked))
            entries.append(b'{"response":{"status":"200 OK"},"resource":' + found + b"}")
        except RefusalError as refusal:
            response = {
                "status": str(refusal.status),
                "outcome": outcome(refusal.code, refusal.text),
            }
            entries.append(json.dumps({"response": response}).encode())
    head = b'{"resourceType":"Bundle","type":"batch-response","entry":['
    return Response(head + b",".join(entries) + b"]}", media_type=FHIR_JSON)


async def _searches(request: Request) -> list[str]:
    """What a batch asks for."""
    try:
        bundle = json.loads(await request.body())
        asked = [one["request"] for one in bundle["entry"]]
        is_known = bundle["type"] == "batch" and {one["method"] for one in asked} <= {"GET"}
        urls = [str(one["url"]) for one in asked]
    except (ValueError, TypeError, KeyError):
        is_known = False
    if not is_known:
        raise RefusalError(400, "invalid", "only a batch of searches is taken")
    return urls


async def _page(request: Request, url: str) -> bytes:
    """The page of a search at a URL of this server."""
    sandbox = sandbox_of(request)
    grant = sandbox.tokens.require(request.headers.get("authorization"))
    resource_type = urlsplit(url).path.rpartition("/")[2]
    if resource_type not in sandbox.source.resource_types:
        raise RefusalError(404, "not-supported", f"the type {resource_type} is not served")
    sight = grant.sight(resource_type)
    parameters = query_parameters(urlsplit(url).query)
    size = min(_number(parameters, "_count", _MOST_OF_A_PAGE), _MOST_OF_A_PAGE)
    offset = _number(parameters, _OFFSET, 0)
    asked = [one for one in parameters if one[0] not in ("_count", "_elements", _OFFSET)]
    wanted = Search.of(asked)

    def finds(resource: dict[str, Any]) -> bool:
        return sight.keeps(resource) and wanted.finds(resource)

    found = await asyncio.to_thread(_found, sandbox, resource_type, finds, offset, size)
    links = [("self", url)]
    if 0 < size < len(found):
        again = [*asked, ("_count", str(size)), (_OFFSET, str(offset + size))]
        place = f"{server_url(request)}{BASE_PATH}/{resource_type}"
        links.append(("next", f"{place}?{urlencode(again)}"))
    return _bundle(found[:size], links)


def _number(parameters: list[tuple[str, str]], name: str, otherwise: int) -> int:
    text = dict(parameters).get(name)
    if text is None:
        return otherwise
    if not text.isdecimal():
        raise RefusalError(400, "value", f"{name} is not a number")
    return int(text)


def _found(
    sandbox: Sandbox,
    resource_type: str,
    finds: Callable[[dict[str, Any]], bool],
    offset: int,
    size: int,
) -> list[bytes]:
    """A page of lines, and one more where there are more."""
    entries = sandbox.source.entries(Selection(sandbox.source.day, frozenset({resource_type})))
    lines = (e.line for e in entries if e.line is not None and finds(from_line(e.line)))
    return list(islice(lines, offset, offset + size + 1))


def _bundle(lines: list[bytes], links: list[tuple[str, str]]) -> bytes:
    """A searchset around lines, whose text stays as it is."""
    described = [{"relation": relation, "url": url} for relation, url in links]
    entries = b",".join(
        b'{"resource":' + line.strip() + b',"search":{"mode":"match"}}' for line in lines
    )
    head = f'{{"resourceType":"Bundle","type":"searchset","link":{json.dumps(described)}'
    return head.encode() + b',"entry":[' + entries + b"]}"


ROUTES = [
    Route(BASE_PATH, batch, methods=["POST"]),
    Route(f"{BASE_PATH}/{{resource_type}}", search),
]
