"""FHIR searches over one resource at a time: what `_typeFilter`, `patient` and search ask for.

Served are tokens (codes, statuses, flags), dates of some elements, `patient` and `subject`, `_id`
and `_lastUpdated`. Source: FHIR R4, "Search".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from ecw_pipeline.sandbox.outcomes import RefusalError

_TOKENS = frozenset(
    {
        *("category", "class", "clinical-status", "code", "gender", "intent", "priority", "status"),
        *("type", "verification-status", "active"),
    }
)
_DATES = {
    "_lastUpdated": ("meta.lastUpdated",),
    "authored-on": ("authoredOn",),
    "authoredon": ("authoredOn",),
    "date": ("effectiveDateTime", "period.start", "occurrenceDateTime", "performedDateTime"),
    "onset-date": ("onsetDateTime",),
    "recorded-date": ("recordedDate",),
    "sent": ("sent",),
}
_PATIENTS = ("subject", "patient", "for", "beneficiary", "individual")
_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda value, text: value.startswith(text),
    "ge": lambda value, text: value >= text,
    "gt": lambda value, text: value > text and not value.startswith(text),
    "le": lambda value, text: value <= text or value.startswith(text),
    "lt": lambda value, text: value < text and not value.startswith(text),
}


@dataclass(frozen=True)
class Search:
    """Conditions that all hold; each is a name and its alternatives."""

    conditions: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, parameters: Iterable[tuple[str, str]]) -> "Search":
        """Conditions from parameters.

        Raises:
            RefusalError: 400, one is not served.
        """
        conditions = tuple((name, tuple(text.split(","))) for name, text in parameters)
        served = {*_TOKENS, *_DATES, "_id", "patient", "subject"}
        for name, _ in conditions:
            if name not in served:
                raise RefusalError(400, "not-supported", f"the search parameter {name} is unknown")
        return cls(conditions)

    def finds(self, resource: Mapping[str, Any]) -> bool:
        """Whether every condition holds."""
        return all(_holds(resource, name, values) for name, values in self.conditions)


@dataclass(frozen=True)
class Narrowing:
    """What `_typeFilter` and `patient` leave of an export; the filters of a type are alternatives.

    Source: Bulk Data Access 2.0, "Query Parameters".
    """

    searches: tuple[tuple[str, Search], ...] = ()
    patient_ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, type_filters: Iterable[str], patient_ids: Iterable[str]) -> "Narrowing":
        """Read ``Observation?category=laboratory`` and the like.

        Raises:
            RefusalError: 400, a filter is none, or is not served.
        """
        searches = []
        for text in type_filters:
            resource_type, _, conditions = text.partition("?")
            if not conditions:
                raise RefusalError(400, "invalid", f"_typeFilter is not a search: {text}")
            searches.append((resource_type, Search.of(parse_qsl(conditions))))
        return cls(tuple(searches), tuple(patient_ids))

    def __bool__(self) -> bool:
        return bool(self.searches or self.patient_ids)

    def keeps(self, resource: Mapping[str, Any]) -> bool:
        """Whether a resource is part of the export."""
        resource_type = str(resource.get("resourceType", ""))
        alternatives = [search for name, search in self.searches if name == resource_type]
        if alternatives and not any(search.finds(resource) for search in alternatives):
            return False
        return not self.patient_ids or any(_is_of(resource, one) for one in self.patient_ids)


EVERYTHING = Narrowing()


def _holds(resource: Mapping[str, Any], name: str, values: tuple[str, ...]) -> bool:
    if name == "_id":
        return resource.get("id") in values
    if name in ("patient", "subject"):
        return any(_is_of(resource, value.removeprefix("Patient/")) for value in values)
    if name in _DATES:
        return any(_is_dated(resource, _DATES[name], value) for value in values)
    codes = set(_codes(resource.get(_element(name))))
    return any(value in codes for value in values)


def _is_of(resource: Mapping[str, Any], patient_id: str) -> bool:
    """Whether a resource is a patient, or speaks of one."""
    if resource.get("resourceType") == "Patient":
        return resource.get("id") == patient_id
    named = (resource.get(name) for name in _PATIENTS)
    references = (str(one.get("reference", "")) for one in named if isinstance(one, dict))
    return any(text.split("/")[-2:] == ["Patient", patient_id] for text in references)


def _is_dated(resource: Mapping[str, Any], paths: Iterable[str], value: str) -> bool:
    prefix, text = (value[:2], value[2:]) if value[:2] in _COMPARE else ("eq", value)
    return any(_COMPARE[prefix](found, text) for path in paths if (found := _at(resource, path)))


def _at(resource: Mapping[str, Any], path: str) -> str:
    found: Any = resource
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _element(name: str) -> str:
    first, *others = name.split("-")
    return first + "".join(map(str.capitalize, others))


def _codes(value: Any) -> Iterator[str]:
    """What a token may be compared with: ``code``, and ``system|code``."""
    if isinstance(value, list):
        for one in value:
            yield from _codes(one)
    elif isinstance(value, dict):
        yield from _codes(value.get("coding"))
        if "code" in value:
            yield from (str(value["code"]), f"{value.get('system', '')}|{value['code']}")
    elif value is not None:
        yield str(value).lower() if isinstance(value, bool) else str(value)
