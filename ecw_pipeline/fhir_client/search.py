"""FHIR search: one question, page after page, each resource as the server wrote it.

Source: FHIR R4, "Search", "Paging".
"""

from collections.abc import Iterator
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


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()
    search: _How | None = None


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


def search_page(session: Session, url: str) -> tuple[list[bytes], str | None]:
    """What one page of a search holds, and the address of the next; see `search`.

    Raises:
        SearchRefusedError: the server does not take it.
    """
    page = _page(session, url)
    found = [
        bytes(entry.resource)
        for entry in page.entry or ()
        if bytes(entry.resource) not in _NOTHING
        and not (entry.search and entry.search.mode == "outcome")
    ]
    following = next((one.url for one in page.link or () if one.relation == "next"), None)
    return found, urljoin(url, following) if following else None


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
    try:
        page = msgspec.json.decode(reply.content, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        page = _Page()
    if reply.status_code != httpx.codes.OK or page.resourceType != "Bundle":
        raise ProtocolError(
            f"the search was answered by HTTP {reply.status_code} without a Bundle",
            "check ECLINICALWORKS_FHIR_ENDPOINT, or ask the provider's support",
        )
    return page
