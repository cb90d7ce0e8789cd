"""A lake of three small tables; what its exports brought, and what should be loaded of it."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.tables import Table
from ecw_pipeline_tests.stages.model_server import GARBLED, NAMELESS, Job, Practice
from ecw_pipeline_tests.warehouse.plain_fold import (
    Delivery,
    Line,
    Sighting,
    Span,
    plain_fold,
)

Rows = Counter[tuple[Any, ...]]


@dataclass(frozen=True)
class SmallTable:
    """A table with one column of its own, and what should be in it of a resource."""

    name: str
    resource_type: str
    select: dict[str, Any]
    values: Callable[[dict[str, Any]], list[str]]

    @property
    def table(self) -> Table:
        view = {
            "resourceType": "ViewDefinition",
            "name": self.name,
            "status": "active",
            "resource": self.resource_type,
            "select": [self.select],
        }
        return Table(self.name, view)

    @property
    def columns(self) -> str:
        """Those that are compared, closed rows aside."""
        key = f"{snake_case(self.resource_type)}_id"
        return f"connection_id, {key}, value, export_id, source_file, source_line"


def _value(path: str) -> dict[str, Any]:
    return {"column": [{"name": "value", "path": path}]}


SMALL_TABLES = (
    SmallTable(
        "patient",
        "Patient",
        _value("name.first().family"),
        lambda patient: [patient["name"][0]["family"]],
    ),
    SmallTable(
        "patient_name",
        "Patient",
        {"forEach": "name.given", **_value("$this")},
        lambda patient: list(patient["name"][0]["given"]),
    ),
    SmallTable("task", "Task", _value("description"), lambda task: [task["description"]]),
)
_TABLES = {small.name: small.table for small in SMALL_TABLES}


class SmallLake(Lake):
    """A lake without the tables that come with the pipeline: they take seconds to make."""

    @cached_property
    def tables(self) -> dict[str, Table]:
        return _TABLES


class Exported:
    """What a lake's loaded exports brought of one resource type, by the server's own account."""

    def __init__(self, lake: Lake, practices: Mapping[str, Practice], resource_type: str) -> None:
        self._resource_type = resource_type
        self._jobs = {
            export.export_id: practices[export.connection_id].jobs[_job_number(export)]
            for export in lake.ledger.exports()
            for one in lake.ledger.types(export.export_id)
            if (one.resource_type, one.state) == (resource_type, "loaded")
        }
        self._deliveries = [
            self._delivery(lake, lake.ledger.export(export_id)) for export_id in self._jobs
        ]

    def jobs(self, connection_id: str) -> list[Job]:
        """The exports of a practice of which this type is loaded."""
        ours = [one for one in self._deliveries if one.connection_id == connection_id]
        return [self._jobs[one.export_id] for one in ours]

    def spans(self) -> list[Span]:
        """The plain fold of what is loaded."""
        return plain_fold(self._deliveries)

    def rows(self, small: SmallTable, spans: Iterable[Span]) -> Rows:
        """What a table holds of some spans; of closed ones with their period."""
        return Counter(
            (*who, value, *place, *period)
            for span in spans
            for who, place, period in [_parts(span)]
            for value in small.values(self._resource(span.sighting))
        )

    def _resource(self, one: Sighting) -> dict[str, Any]:
        lines = self._jobs[one.delivery.export_id].lines[self._resource_type]
        resource: dict[str, Any] = json.loads(lines[one.line.source_line - 1])
        return resource

    def _delivery(self, lake: Lake, export: Export) -> Delivery:
        job = self._jobs[export.export_id]
        texts = job.lines.get(self._resource_type, [])
        known = [
            (number, text, json.loads(text))
            for number, text in enumerate(texts, start=1)
            if text != NAMELESS
        ]
        path = "".join(
            file.path
            for file in lake.ledger.files(export.export_id)
            if (file.kind, file.resource_type) == ("output", self._resource_type)
        )
        return Delivery(
            export.connection_id,
            export.export_id,
            scope="system",
            at=job.at,
            is_complete=not (job.since or job.habits.complains or len(known) < len(texts)),
            lines=tuple(
                _line(path, number, text, resource)
                for number, text, resource in known
                if resource["meta"] != GARBLED
            ),
            deleted=frozenset(name for kind, name in job.deleted if kind == self._resource_type),
            unreadable=frozenset(one["id"] for _, _, one in known if one["meta"] == GARBLED),
        )


def _job_number(export: Export) -> int:
    return int(export.status_url.rpartition("/")[2])


def _line(path: str, number: int, text: str, resource: dict[str, Any]) -> Line:
    updated = resource["meta"].get("lastUpdated")
    return Line(
        resource["id"],
        updated and parse_instant(updated),
        hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
        "tag" in resource["meta"],
        path,
        number,
    )


def _parts(span: Span) -> tuple[tuple[Any, ...], ...]:
    line, delivery = span.sighting.line, span.sighting.delivery
    who = (delivery.connection_id, line.resource_id)
    place = (delivery.export_id, line.source_file, line.source_line)
    return who, place, (span.valid_from, span.valid_to, span.closed_by) if span.valid_to else ()
