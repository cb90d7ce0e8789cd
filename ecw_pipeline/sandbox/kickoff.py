"""Reading a kick-off request: its headers, its parameters, and what is wrong with them.

Source: Bulk Data Access 2.0, "Bulk Data Kick-off Request".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from ecw_pipeline.errors import BadDataError
from ecw_pipeline.fhir.instants import format_instant, parse_instant
from ecw_pipeline.sandbox.outcomes import FHIR_JSON, RefusalError
from ecw_pipeline.sandbox.searching import EVERYTHING, Narrowing
from ecw_pipeline.sandbox.source import ASSOCIATED_TYPES, Source
from ecw_pipeline.sandbox.tokens import Grant

_FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
_KNOWN = ("_type", "_since", "_outputFormat", "_typeFilter", "patient")
# A comma within a filter is between alternatives of a value.
_BETWEEN_FILTERS = re.compile(r",(?=[A-Z][A-Za-z]*\?)")
_OPTIONAL = ("_elements", "includeAssociatedData", "_until")


@dataclass(frozen=True)
class KickOff:
    """An export as it was asked for; two that are equal are the same export."""

    level: str
    group: str | None
    resource_types: tuple[str, ...]
    since: datetime | None
    narrowing: Narrowing = EVERYTHING

    @property
    def since_text(self) -> str | None:
        return None if self.since is None else format_instant(self.since)


def read_kick_off(
    level: str,
    group: str | None,
    headers: Mapping[str, str],
    parameters: list[tuple[str, str]],
    source: Source,
    grant: Grant,
) -> KickOff:
    """Turn a request into a `KickOff`.

    Raises:
        RefusalError: 400, 403 or 404 with the reason.
    """
    _check_headers(headers)
    is_lenient = "handling=lenient" in _tokens(headers.get("prefer", ""))
    _check_parameters(parameters, is_lenient=is_lenient)
    if group is not None and group not in source.groups:
        raise RefusalError(404, "not-found", f"Group/{group} is not known")
    if group is not None and not grant.covers("Group"):
        raise RefusalError(403, "forbidden", "a Group export needs the scope system/Group.read")
    values = dict(parameters)
    asked = [name for key, text in parameters if key == "_type" for name in _names(text)]
    types = _resource_types(level, asked, source, grant)
    filters = [
        one
        for key, text in parameters
        if key == "_typeFilter"
        for one in _BETWEEN_FILTERS.split(text)
    ]
    patients = [text.split("/")[-1] for key, text in parameters if key == "patient"]
    narrowing = Narrowing.of(filters, patients)
    return KickOff(level, group, types, _since(values.get("_since")), narrowing)


def query_parameters(query: str) -> list[tuple[str, str]]:
    """The parameters of a GET."""
    return parse_qsl(query, keep_blank_values=True)


def body_parameters(body: bytes) -> list[tuple[str, str]]:
    """The parameters of a POST: a FHIR Parameters resource.

    Raises:
        RefusalError: the body is something else.
    """
    try:
        resource = json.loads(body)
        if resource["resourceType"] != "Parameters":
            raise ValueError
        return [(p["name"], _value(p)) for p in resource.get("parameter", [])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusalError(400, "structure", "the body is not a Parameters resource") from error


def _value(parameter: Mapping[str, Any]) -> str:
    found = [value for key, value in parameter.items() if key.startswith("value")]
    return str(found[0]["reference"] if isinstance(found[0], dict) else found[0]) if found else ""


def _check_headers(headers: Mapping[str, str]) -> None:
    accepted = [part.split(";")[0].strip() for part in headers.get("accept", "").split(",")]
    if FHIR_JSON not in accepted:
        raise RefusalError(400, "invalid", f"the Accept header must be {FHIR_JSON}")
    if "respond-async" not in _tokens(headers.get("prefer", "")):
        raise RefusalError(400, "invalid", "the Prefer header must be respond-async")


def _tokens(header: str) -> list[str]:
    return [part.strip().replace(" ", "") for part in header.replace(";", ",").split(",")]


def _check_parameters(parameters: list[tuple[str, str]], *, is_lenient: bool) -> None:
    for name, text in parameters:
        if name not in _KNOWN and not (is_lenient and name in _OPTIONAL):
            raise RefusalError(400, "not-supported", f"the parameter {name} is not supported")
        if name == "_outputFormat" and text.replace(" ", "+") not in _FORMATS:
            raise RefusalError(400, "not-supported", "_outputFormat must be ndjson")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _resource_types(level: str, asked: list[str], source: Source, grant: Grant) -> tuple[str, ...]:
    unknown = sorted(set(asked) - set(source.resource_types))
    if unknown:
        raise RefusalError(400, "not-supported", f"_type not known: {', '.join(unknown)}")
    forbidden = sorted(name for name in set(asked) if not grant.covers(name))
    if forbidden:
        raise RefusalError(403, "forbidden", f"no scope for: {', '.join(forbidden)}")
    by_default = [
        name
        for name in source.resource_types
        if grant.covers(name) and (level == "system" or name not in ASSOCIATED_TYPES)
    ]
    if not asked and not by_default:
        raise RefusalError(403, "forbidden", "the token's scopes cover no type of this server")
    return tuple(sorted(set(asked or by_default)))


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        # A "+" that was not percent-encoded arrives as a space: refuse it, as strict servers do.
        return parse_instant(text)
    except BadDataError as error:
        raise RefusalError(400, "value", f"_since is {error.message}") from error
