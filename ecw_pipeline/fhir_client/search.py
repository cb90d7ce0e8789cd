"""FHIR search: one question, page after page, each resource as the server wrote it.

Source: FHIR R4, "Search", "Paging".
"""

from collections.abc import Iterator, Sequence
from urllib.parse import urljoin

import httpx
import msgspec

from ecw_pipeline.errors import ConfigurationError, ProtocolError
from ecw_pipeline.fhir.structure import is_resource
from ecw_pipeline.fhir_client.session import FHIR_JSON, Session
from ecw_pipeline.fhir_client.transport import (
    FILES_LANE,
    network_errors,
    require_not_busy,
    require_safe_url,
)

_NOTHING = (b"", b"null")
# What a page holds, and the address of the next.
SearchPage = tuple[list[bytes], str | None]

_REFUSALS = (
    httpx.codes.BAD_REQUEST,
    httpx.codes.FORBIDDEN,
    httpx.codes.NOT_FOUND,
    httpx.codes.GONE,
    httpx.codes.UNPROCESSABLE_ENTITY,
)


class SearchRefusedError(ConfigurationError):
    """The server does not take a search; ``status_code`` is how it says so."""

    def __init__(self, status_code: int) -> None:
        super().__init__(
            f"the server does not take the search (HTTP {status_code})",
            "check its parameters, and the scope for its type: ecw doctor",
        )
        self.status_code = status_code


class _How(msgspec.Struct):
    mode: str | None = None


class _Status(msgspec.Struct):
    status: str | None = None


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()
    search: _How | None = None
    response: _Status | None = None


class _Link(msgspec.Struct):
    relation: str | None = None
    url: str | None = None


class _Page(msgspec.Struct):
    resourceType: str | None = None  # noqa: N815  FHIR's name
    entry: list[_Entry] | None = None
    link: list[_Link] | None = None


def search(session: Session, query: str) -> Iterator[bytes]:
    """What ``Communication?patient=p1&status=completed`` finds: the text of each resource.

    Each page is one request of the budget. What the server adds of its own (outcomes) is left out;
    what ``_include`` asks for is not.

    Raises:
        ConfigurationError: the query names no resource type, or the server does not take it.
        TemporaryError: the server cannot be reached now, or has no time.
        ProtocolError: it answers something else, or its pages run in a circle.
    """
    resource_type = query.partition("?")[0]
    if not is_resource(resource_type):
        raise ConfigurationError(
            f"{resource_type!r} is not a FHIR resource type",
            "write a search like Observation?patient=p1&category=laboratory",
        )
    url: str | None = f"{session.connection.base_url}/{query}"
    seen: set[str] = set()
    while url is not None:
        if url in seen:
            raise ProtocolError(
                f"the pages of the search run in a circle after page {len(seen)}",
                "ask the provider's support",
            )
        seen.add(url)
        found, url = search_page(session, url)
        yield from found


def search_page(session: Session, url: str) -> SearchPage:
    """What one page of a search holds, and the address of the next; see `search`.

    Raises:
        SearchRefusedError: the server does not take it.
    """
    return _read(_page(session, url), url)


def takes_batches(session: Session) -> bool:
    """Whether the server says that it answers several requests in one.

    Source: FHIR R4, CapabilityStatement.rest.interaction.
    """
    statement = session.get_json(f"{session.connection.base_url}/metadata")
    rests = [rest for rest in statement.get("rest") or () if isinstance(rest, dict)]
    interactions = [one for rest in rests for one in rest.get("interaction") or ()]
    return any(isinstance(one, dict) and one.get("code") == "batch" for one in interactions)


def first_pages(session: Session, urls: Sequence[str]) -> dict[str, SearchPage]:
    """The first pages of several searches in one request, those that the server gave; see `search`.

    What it refuses, alone or altogether, is to be asked for by itself: it then says why.

    Source: FHIR R4, "batch/transaction": the answers stand in the order of the requests.
    """
    base_url = session.connection.base_url
    requests = [{"method": "GET", "url": url.removeprefix(f"{base_url}/")} for url in urls]
    asked = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": request} for request in requests],
    }
    require_safe_url(base_url)
    with network_errors(base_url):
        reply = session.http.post(
            base_url,
            content=msgspec.json.encode(asked),
            headers={"Accept": FHIR_JSON, "Content-Type": FHIR_JSON},
            auth=session.auth,
            extensions=session.own_hosts | FILES_LANE,
        )
    require_not_busy(reply)
    entries = _decoded(reply.content).entry or [] if reply.status_code == httpx.codes.OK else []
    if len(entries) != len(urls):
        return {}
    answers = zip(urls, map(_answer, entries), strict=True)
    return {url: _read(page, url) for url, page in answers if page.resourceType == "Bundle"}


def _answer(entry: _Entry) -> _Page:
    """What a batch holds for one search; an empty page where it was refused."""
    status = (entry.response and entry.response.status) or ""
    return _decoded(bytes(entry.resource)) if status.startswith("200") else _Page()


def _read(page: _Page, url: str) -> SearchPage:
    found = [
        bytes(entry.resource)
        for entry in page.entry or ()
        if bytes(entry.resource) not in _NOTHING
        and not (entry.search and entry.search.mode == "outcome")
    ]
    following = next((one.url for one in page.link or () if one.relation == "next"), None)
    return found, urljoin(url, following) if following else None


def _decoded(text: bytes) -> _Page:
    """A Bundle; an empty page where the text is none."""
    try:
        return msgspec.json.decode(text, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Page()


def _page(session: Session, url: str) -> _Page:
    require_safe_url(url)
    with network_errors(url):
        reply = session.http.get(
            url,
            headers={"Accept": FHIR_JSON},
            auth=session.auth,
            extensions=session.own_hosts | FILES_LANE,
        )
    require_not_busy(reply)
    if reply.status_code in _REFUSALS:
        raise SearchRefusedError(reply.status_code)
    page = _decoded(reply.content)
    if reply.status_code != httpx.codes.OK or page.resourceType != "Bundle":
        raise ProtocolError(
            f"the search was answered by HTTP {reply.status_code} without a Bundle",
            "check ECLINICALWORKS_FHIR_ENDPOINT, or ask the provider's support",
        )
    return page
