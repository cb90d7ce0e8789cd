"""What goes over the wire in a Bulk Data export, as values. Sending is `client.py`'s."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urljoin, urlsplit, urlunsplit

from ecw_pipeline.errors import BadDataError, ProtocolError
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.fhir.resource_types import is_type_name
from ecw_pipeline.fhir.restriction import UNRESTRICTED, Restriction
from ecw_pipeline.settings import ExportLevel

FileKind = Literal["output", "deleted", "error"]

_SHORT_OFFSET = re.compile(r"([+-]\d\d)(\d\d)$")  # as Java writes it, unless told
_AMPERSAND = re.compile("&(?:amp|#38|#x26);", re.IGNORECASE)


def whole_url(base: str, url: str) -> str:
    """A URL of the server's, relative ones by ``base``.

    A server behind a proxy that ends TLS may believe that it is asked in plain http: its own host
    is asked as ``base`` was.

    Raises:
        ValueError: it is no URL.
    """
    whole, asked = urlsplit(urljoin(base, unescaped(url))), urlsplit(base)
    is_own = whole.hostname == asked.hostname and whole.port in (None, 80)
    if (asked.scheme, whole.scheme) == ("https", "http") and is_own:
        whole = whole._replace(scheme="https", netloc=asked.netloc)
    return urlunsplit(whole)


def unescaped(url: str) -> str:
    """A URL that some servers escape as if it were HTML, as it was meant.

    Nothing but the ampersand: by HTML's rules ``&timestamp=1`` begins with a sign, ``&times``.
    """
    return _AMPERSAND.sub("&", url)


@dataclass(frozen=True)
class ExportRequest:
    """What to ask for; no ``since`` means everything."""

    level: ExportLevel
    group_id: str
    resource_types: tuple[str, ...]
    since: datetime | None
    restriction: Restriction = UNRESTRICTED

    def path(self) -> str:
        """The operation's path below the base URL.

        Source: Bulk Data Access, "Endpoint".
        """
        place = {
            "system": "",
            "patient": "Patient/",
            "group": f"Group/{quote(self.group_id, safe='')}/",
        }
        return f"{place[self.level]}$export"

    def query(self) -> dict[str, str]:
        """The parameters of the kick-off request, but for the patients, which only a body can name.

        Some servers read ``_since`` by one fixed pattern, with milliseconds: more precise instants
        are cut to it, which asks for a little more.
        """
        asked = {}
        if self.resource_types:
            asked["_type"] = ",".join(self.resource_types)
        if self.since is not None:
            whole = self.since.astimezone(UTC).isoformat(timespec="milliseconds")
            asked["_since"] = whole.removesuffix("+00:00") + "Z"
        if self.restriction.type_filters:
            asked["_typeFilter"] = ",".join(self.restriction.type_filters)
        return asked

    def body(self, further: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
        """The same, and ``further`` parameters, as a FHIR Parameters resource, for a POST.

        Source: Bulk Data Access, "Query Parameters": a POST repeats a parameter for each value.
        """
        values: list[tuple[str, dict[str, Any]]] = [
            *(("_type", {"valueString": name}) for name in self.resource_types),
            *(("_since", {"valueInstant": text}) for text in _only(self.query(), "_since")),
            *(("_typeFilter", {"valueString": text}) for text in self.restriction.type_filters),
            *(
                ("patient", {"valueReference": {"reference": f"Patient/{one}"}})
                for one in self.restriction.patient_ids
            ),
            *((name, {"valueString": text}) for name, text in further),
        ]
        return {
            "resourceType": "Parameters",
            "parameter": [{"name": name, **value} for name, value in values],
        }

    def is_answered_by(self, document: Mapping[str, Any]) -> bool:
        """Whether a manifest that says what it answers (``request``) answers this.

        Only what is there is compared, as gateways rewrite addresses and POST has no query.
        """
        try:
            said = parse_qs(urlsplit(unescaped(str(document.get("request", "")))).query)
            since = said.get("_since") and parse_instant(said["_since"][0].replace(" ", "+"))
        except (ValueError, BadDataError):
            return True
        types = {name.strip() for names in said.get("_type", ()) for name in names.split(",")}
        if types and self.resource_types and types != set(self.resource_types):
            return False
        if said.get("_typeFilter") and not self.restriction.type_filters:
            return False
        return not since or (self.since is not None and since <= self.since)


def _only(values: Mapping[str, str], name: str) -> list[str]:
    return [values[name]] if name in values else []


@dataclass(frozen=True)
class Reply:
    """What came back: enough to decide the next state, nothing that sends.

    Args:
        url: where it came from in the end; empty where that was asked.
    """

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    retry_after_seconds: float | None = None
    url: str = ""


@dataclass(frozen=True)
class ManifestFile:
    """One file a manifest names; ``count`` is the server's own claim, often absent or wrong."""

    kind: FileKind
    resource_type: str
    url: str
    count: int | None


@dataclass(frozen=True)
class Manifest:
    """A finished export: the server's instant and its files."""

    transaction_time: datetime
    requires_access_token: bool
    files: tuple[ManifestFile, ...]


# Draft versions of the specification call the error files `outcome`.
_KINDS: Mapping[str, FileKind] = {
    "output": "output",
    "deleted": "deleted",
    "error": "error",
    "outcome": "error",
}


def parse_manifest(document: Mapping[str, Any], status_url: str) -> Manifest:
    """Read a complete-status body, in any dialect that still says when and where.

    One that does not say whether its files need the token is of an early version, where they do.

    Raises:
        ProtocolError: no usable ``transactionTime``, or a file without a usable URL or type.

    Source: Bulk Data Access, "Response - Complete Status".
    """
    try:
        said = str(document.get("transactionTime", "")).replace(" ", "T", 1)
        transaction_time = parse_instant(_SHORT_OFFSET.sub(r"\1:\2", said))
    except BadDataError as error:
        raise ProtocolError(
            f"the export's manifest has no usable transactionTime: {error.message}",
            "ask the provider's support; without it later exports would miss changes",
        ) from error
    files = tuple(
        _file(kind, entry, status_url)
        for key, kind in _KINDS.items()
        for entry in _entries(document.get(key))
        if not _is_nothing(entry)
    )
    needs_token = str(document.get("requiresAccessToken")).lower() in ("true", "none")
    return Manifest(transaction_time, needs_token, files)


def next_page(document: Mapping[str, Any], url: str) -> str | None:
    """Where a manifest that comes in pages goes on; None on the last.

    Raises:
        ProtocolError: it names no usable URL: without its other pages it is not whole.

    Source: Bulk Data Access 3.0, "Response - Complete Status", link.
    """
    for link in _entries(document.get("link")):
        if isinstance(link, dict) and link.get("relation") == "next" and link.get("url"):
            try:
                return whole_url(url, str(link["url"]))
            except ValueError as error:
                raise ProtocolError(
                    "the export's manifest goes on at a URL that is none",
                    "ask the provider's support",
                ) from error
    return None


def is_manifest(document: Mapping[str, Any]) -> bool:
    """Whether a document is a manifest or a page of one: others, joined, would end it too soon."""
    return any(key in document for key in (*_KINDS, "transactionTime"))


def joined_pages(first: Mapping[str, Any], page: Mapping[str, Any]) -> dict[str, Any]:
    """The first page with the files of another added."""
    files = {key: _entries(first.get(key)) + _entries(page.get(key)) for key in _KINDS}
    return {**first, **{key: entries for key, entries in files.items() if entries}}


def _entries(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_nothing(entry: Any) -> bool:
    """Whether a server only says that it has nothing of a type: a count of 0, and no file."""
    is_named = isinstance(entry, dict)
    return is_named and not entry.get("url") and _whole_number(entry.get("count")) == 0


def _file(kind: FileKind, entry: Any, status_url: str) -> ManifestFile:
    named = entry if isinstance(entry, dict) else {}
    url, count, resource_type = named.get("url"), named.get("count"), named.get("type") or ""
    if not isinstance(url, str) or not url:
        raise _unusable(kind, "without a URL")
    # The type names a folder: "../.." would lead out of ours.
    if not isinstance(resource_type, str) or (resource_type and not is_type_name(resource_type)):
        raise _unusable(kind, "of a type that is none")
    try:
        whole = whole_url(status_url, url)
    except ValueError as error:
        raise _unusable(kind, "with a URL that is none") from error
    if resource_type == "OperationOutcome":
        kind = "error"  # some servers list them beside the resources
    return ManifestFile(kind, resource_type, whole, _whole_number(count))


def _whole_number(value: object) -> int | None:
    """A count, which some servers write as a text."""
    is_number = type(value) is int or (isinstance(value, str) and value.isdecimal())
    return int(value) if is_number else None  # type: ignore[call-overload]


def _unusable(kind: FileKind, fault: str) -> ProtocolError:
    return ProtocolError(
        f"the export's manifest names a file of {kind!r} {fault}", "ask the provider's support"
    )
