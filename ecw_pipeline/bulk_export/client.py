"""The front door of Bulk Data: kick off, poll, download, cancel, one request at a time.

It keeps no state between calls: `ledger.py` does, and callers write to it first.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from ecw_pipeline.bulk_export import download, searching
from ecw_pipeline.bulk_export.limits import Limits
from ecw_pipeline.bulk_export.messages import (
    ExportRequest,
    Reply,
    is_manifest,
    joined_pages,
    next_page,
)
from ecw_pipeline.bulk_export.protocol import ExportState, Failed, InProgress, Requested, next_state
from ecw_pipeline.errors import ProtocolError, TemporaryError
from ecw_pipeline.fhir.resource_types import is_type_name
from ecw_pipeline.fhir_client.rate_headers import retry_after_seconds
from ecw_pipeline.fhir_client.session import FHIR_JSON, Session
from ecw_pipeline.fhir_client.transport import (
    FIRST_ANSWER,
    ONCE,
    json_object,
    network_errors,
    require_safe_url,
)

# Types that describe the server itself: asking for them exports nothing about patients.
DEFINITIONAL_TYPES = frozenset(
    {"Bundle", "CapabilityStatement", "OperationDefinition", "OperationOutcome", "Parameters"}
)


@dataclass(frozen=True)
class Capabilities:
    """The resource types of a server, and whether it names an export operation."""

    offered_types: tuple[str, ...]
    has_export: bool


def _is_export_alone(resource: Mapping[str, Any]) -> bool:
    """Whether a CapabilityStatement names a type for its export operation and nothing else."""
    operations = [str(one.get("name", "")) for one in resource.get("operation") or ()]
    return any(name.endswith("export") for name in operations) and not resource.get("interaction")


class BulkExportClient:
    """Speaks Bulk Data over a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def offered_types(self) -> tuple[str, ...]:
        """The resource types the server says it has, in its order; see `capabilities`."""
        return self.capabilities().offered_types

    def capabilities(self) -> Capabilities:
        """What the server says it can do.

        Raises:
            ProtocolError: its CapabilityStatement names no resource type.

        Source: FHIR R4, CapabilityStatement.rest.
        """
        statement = self._session.get_json(f"{self._session.connection.base_url}/metadata")
        rests = [rest for rest in statement.get("rest") or () if isinstance(rest, dict)]
        resources = [one for rest in rests for one in rest.get("resource") or ()]
        operations = [
            str(operation.get("name", ""))
            for place in (*rests, *resources)
            for operation in place.get("operation") or ()
        ]
        # Some list there what $export is asked of, a Group say, and not what it brings.
        named = [] if all(map(_is_export_alone, resources)) else resources
        names = [str(resource.get("type", "")) for resource in named]
        offered = [n for n in names if is_type_name(n) and n not in DEFINITIONAL_TYPES]
        if not offered:
            raise ProtocolError(
                "the server's CapabilityStatement names no resource type",
                "set ECW_RESOURCE_TYPES to the types you want",
            )
        has_export = any(name.endswith("export") for name in operations)
        return Capabilities(tuple(dict.fromkeys(offered)), has_export)

    def may_read(self, resource_type: str) -> bool:
        """Whether our token lets us ask for a type; see `Session.may_read`."""
        return self._session.may_read(resource_type)

    def kick_off(self, request: ExportRequest) -> ExportState:
        """Ask for an export. The request goes out once: a repeat could start a second one.

        Raises:
            TemporaryError: no reply came, so nobody knows whether an export was started.

        Source: Bulk Data Access, "Bulk Data Kick-off Request".
        """
        if request.level == "search":
            return searching.begin(self._session, request)
        url = f"{self._session.connection.base_url}/{request.path()}"
        further = self._session.connection.export_parameters
        reply = self._ask(url, request, is_posted=bool(request.restriction.patient_ids))
        if reply.status_code == httpx.codes.METHOD_NOT_ALLOWED and "POST" in allowed_methods(reply):
            reply = self._ask(url, request, is_posted=True)
        if reply.status_code in (httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT):
            raise TemporaryError(
                f"a gateway answered the kick-off in the server's stead (HTTP {reply.status_code})",
                "run again: the export is looked after as uncertain",
            )
        optional = tuple(name for name in ("_since", "_type") if name in request.query())
        asked = Requested(url, optional, request.resource_types)
        state = next_state(asked, self._read(reply))
        if isinstance(state, Failed) and further:
            names = ", ".join(name for name, _ in further)
            return Failed(f"{state.reason}; ECW_EXPORT_PARAMETERS adds {names}")
        return state

    def _ask(self, url: str, request: ExportRequest, *, is_posted: bool) -> httpx.Response:
        """Send a kick-off. Some servers keep the export of an earlier one like it, unless told."""
        headers = {"Accept": FHIR_JSON, "Prefer": "respond-async", "Cache-Control": "no-cache"}
        further = self._session.connection.export_parameters
        with network_errors(url):
            return self._session.http.request(
                "POST" if is_posted else "GET",
                url,
                params=None if is_posted else [*request.query().items(), *further],
                content=json.dumps(request.body(further)) if is_posted else None,
                headers=headers | ({"Content-Type": FHIR_JSON} if is_posted else {}),
                auth=self._session.auth,
                follow_redirects=not is_posted,  # as GET it would ask for everybody
                extensions=ONCE | self._session.own_hosts,
            )

    def poll(self, waiting: InProgress) -> ExportState:
        """Ask once how far the export is.

        Raises:
            TemporaryError: the server cannot be reached now.
            ProtocolError: the status URL is not https.
        """
        reply = self._ask_status(waiting.status_url)
        if reply.status_code == httpx.codes.OK:
            reply = self._all_pages(waiting.status_url, reply)
        return next_state(waiting, reply)

    def _ask_status(self, url: str) -> Reply:
        """One reply: what a passing failure means is decided by the protocol, not repeated."""
        require_safe_url(url)
        headers = {"Accept": f"application/json, {FHIR_JSON}"}
        with network_errors(url):
            reply = self._session.http.get(
                url,
                headers=headers,
                auth=self._session.auth_for(url),
                follow_redirects=True,
                extensions=FIRST_ANSWER | self._session.own_hosts,
            )
        return self._read(reply)

    def _all_pages(self, url: str, first: Reply) -> Reply:
        """A manifest that comes in pages, as one; or the reply that came instead of a page.

        Raises:
            ProtocolError: the pages run in a circle. What was read may be all or not: to take it
                for all could lose files.
        """
        whole, seen = first, {url}
        following = next_page(first.document, first.url)
        while following is not None:
            if following in seen:
                raise ProtocolError(
                    f"the pages of the export's manifest run in a circle after page {len(seen)}",
                    "run again: it is read anew; if it stays, ask the provider's support",
                )
            page = self._ask_status(following)
            if page.status_code != httpx.codes.OK or not is_manifest(page.document):
                return page
            seen.add(following)
            whole = replace(whole, document=joined_pages(whole.document, page.document))
            following = next_page(page.document, page.url)
        return whole

    def kept(self, stem: Path) -> download.Downloaded | None:
        """A file that is there already; see `download.kept`."""
        return download.kept(stem)

    def find(
        self, url: str, stem: Path, limits: Limits, patient_ids: tuple[str, ...]
    ) -> download.Downloaded:
        """Fetch what a search finds; see `searching.find`."""
        return searching.find(self._session, url, stem, limits, patient_ids)

    def download(
        self, url: str, stem: Path, limits: Limits, *, with_token: bool
    ) -> download.Downloaded:
        """Fetch one file; see `download.download`."""
        return download.download(self._session, url, stem, limits, with_token=with_token)

    def cancel(self, status_url: str) -> bool:
        """Tell the server that nobody will read the export; whether it agreed.

        An address that is not its own, whoever named it, is told nothing, and gets no token.

        Source: Bulk Data Access, "Bulk Data Delete Request".
        """
        try:
            require_safe_url(status_url)
            with network_errors(status_url):
                reply = self._session.http.delete(
                    status_url,
                    auth=self._session.auth_for(status_url),
                    extensions=self._session.own_hosts,
                )
        except ProtocolError:
            return False
        return reply.status_code in (200, 202, 204, 404)

    def _read(self, reply: httpx.Response) -> Reply:
        headers = {name.lower(): value for name, value in reply.headers.items()}
        now = self._session.clock.now()
        wait = retry_after_seconds(reply.headers, now)
        return Reply(reply.status_code, headers, json_object(reply), wait, str(reply.url))


def allowed_methods(reply: httpx.Response) -> list[str]:
    """The methods that a refusal says can be used. Source: RFC 9110, "Allow"."""
    return [method.strip().upper() for method in reply.headers.get("Allow", "").split(",")]
