"""Exports made by hand: screened lines and flat files as the stages would leave them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.quoting import literal
from ecw_pipeline.warehouse.bookkeeping import announce_load, forget_files, insert_rows
from ecw_pipeline.warehouse.database import transaction, working_warehouse
from ecw_pipeline.warehouse.merge import Moved, fold, refold_table
from ecw_pipeline.warehouse.parquet import write_parquet
from ecw_pipeline.warehouse.schema import WarehouseColumn, WarehouseTable
from ecw_pipeline.warehouse.versions import DeletedResource, Incoming, ScreenedFile
from ecw_pipeline_tests.warehouse.plain_fold import Delivery, Line

PRACTICE = "practice"
STATE = (
    "core.patient",
    "core.patient_name",
    "history.patient",
    "history.patient_name",
    "ops.resource_span",
)
SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
SOURCE_FILE = "Patient/00000.ndjson"


def _table(name: str, *keys: str, **columns: str) -> WarehouseTable:
    places = {"export_id": "VARCHAR", "source_file": "VARCHAR", "source_line": "BIGINT"}
    named = {"connection_id": "VARCHAR", "patient_id": "VARCHAR"} | columns | places
    listed = tuple(WarehouseColumn(n, t, f"the {n}") for n, t in named.items())
    row_key = ("connection_id", "patient_id", *keys)
    return WarehouseTable(name, "Patient", "patient_id", listed, f"the {name}s", "v1", row_key)


PATIENT = _table("patient", family="VARCHAR", given="VARCHAR[]")
NAME = _table("patient_name", "ordinal", ordinal="BIGINT", given="VARCHAR")
_SELECTS = {
    "patient": "id AS patient_id, family, given",
    "patient_name": "id AS patient_id, unnest(range(len(given)::BIGINT)) + 1 AS ordinal,"
    " unnest(given) AS given",
}


@dataclass(frozen=True)
class Brought:
    """What one export brings of patients; lines whose numbers are in ``refused`` are unreadable."""

    export_id: str
    at: datetime
    lines: tuple[dict[str, Any], ...] = ()
    deleted: tuple[str, ...] = ()
    connection_id: str = PRACTICE
    is_complete: bool = False
    export_scope: str = "patient"
    refused: frozenset[int] = frozenset()

    @property
    def readable(self) -> list[tuple[int, dict[str, Any]]]:
        """The lines that can be read, with their numbers."""
        return [
            (number, line)
            for number, line in enumerate(self.lines, start=1)
            if number not in self.refused
        ]

    @property
    def unreadable(self) -> list[str]:
        """The patients that the other lines are of."""
        return [self.lines[number - 1]["id"] for number in sorted(self.refused)]

    @property
    def delivery(self) -> Delivery:
        """The same as the plain fold reads it."""
        return Delivery(
            self.connection_id,
            self.export_id,
            self.export_scope,
            self.at,
            self.is_complete,
            tuple(_line(number, one) for number, one in self.readable),
            frozenset(self.deleted),
            frozenset(self.unreadable),
        )


def day(number: int) -> datetime:
    """Noon of a day of January 2024."""
    return parse_instant(f"2024-01-{number:02d}T12:00:00Z")


def brought(
    day_number: int, *lines: dict[str, Any], deleted: Iterable[str] = (), name: str = ""
) -> Brought:
    """An export of a day; its id says which."""
    return Brought(name or f"day-{day_number:02d}", day(day_number), lines, tuple(deleted))


def ann(family: str, updated_day: int | None, *given: str, name: str = "ann") -> dict[str, Any]:
    """A version of a patient; the same words are the same version."""
    meta = {} if updated_day is None else {"lastUpdated": f"2024-01-{updated_day:02d}T08:00:00Z"}
    return {"id": name, "family": family, "given": list(given), "meta": meta}


def part(version: dict[str, Any]) -> dict[str, Any]:
    """The version as a server shows it that left elements out."""
    return {**version, "meta": {**version["meta"], "tag": [SUBSETTED]}}


@dataclass
class Books:
    """An open warehouse and the folder its exports lie in."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    flats: dict[str, dict[str, Path]] = field(
        default_factory=lambda: {"patient": {}, "patient_name": {}}
    )

    def load(self, *exports: Brought) -> list[Moved]:
        """Load exports in this order, each in a transaction of its own."""
        return [self._load(export) for export in exports]

    def _load(self, export: Brought) -> Moved:
        followers = [(table, self.flats[table.name]) for table in (PATIENT, NAME)]
        incoming = self._incoming(export)
        with transaction(self.connection):
            counts = {"lines_received": len(export.lines), "lines_landed": len(export.readable)}
            announce_load(self.connection, incoming, counts)
            self._tell_of_unreadable(export)
            return fold(self.connection, incoming, followers)

    def _incoming(self, export: Brought) -> Incoming:
        """Write what the stages would have written, once."""
        lines = "".join(_screened(number, one) for number, one in export.readable)
        folder = self.folder / hashlib.sha256(repr(export).encode()).hexdigest()
        screened = folder / "screened" / SOURCE_FILE
        if not screened.exists():
            screened.parent.mkdir(parents=True)
            screened.write_text(lines, encoding="utf-8")
        for table in (PATIENT, NAME):
            path = folder / f"{table.name}.parquet"
            if lines and not path.exists():
                write_parquet(self.connection, _flat_select(table, export, screened), path, "v1")
            self.flats[table.name].pop(export.export_id, None)
            if lines:
                self.flats[table.name][export.export_id] = path
        files = [ScreenedFile(screened, SOURCE_FILE)] if lines else []
        gone = [
            DeletedResource(resource_id, "deleted/00001.ndjson", number)
            for number, resource_id in enumerate(export.deleted, start=1)
        ]
        return Incoming(
            export.connection_id,
            export.export_id,
            "Patient",
            export.at,
            files,
            gone,
            export.export_scope,
            export.is_complete,
        )

    def _tell_of_unreadable(self, export: Brought) -> None:
        forget_files(self.connection, export.export_id, [SOURCE_FILE])
        place = {
            "export_id": export.export_id,
            "resource_type": "Patient",
            "source_file": SOURCE_FILE,
        }
        rows = [{**place, "resource_id": resource_id} for resource_id in export.unreadable]
        insert_rows(self.connection, "ops.quarantine", rows)

    def empty(self) -> None:
        """Begin again without any version."""
        for name in ("resource_version", "resource_span", "load", "quarantine"):
            self.connection.execute(f"DELETE FROM ops.{name}")
        self.flats = {"patient": {}, "patient_name": {}}
        for table in (PATIENT, NAME):
            refold_table(self.connection, table, [])

    def refold(self) -> None:
        """Build both tables anew from all flat files."""
        with transaction(self.connection):
            for table in (PATIENT, NAME):
                refold_table(self.connection, table, list(self.flats[table.name].values()))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def families(self) -> dict[str, str]:
        """Each live patient's family name."""
        return dict(self.rows("SELECT patient_id, family FROM core.patient"))

    def closed(self) -> list[tuple[Any, ...]]:
        """Each closed version of a patient, oldest first, with what ended it."""
        return self.rows(
            "SELECT patient_id, family, closed_by FROM history.patient"
            " ORDER BY patient_id, valid_to"
        )

    def origins(self) -> dict[str, str]:
        """The export that each live patient's row is from."""
        return dict(self.rows("SELECT patient_id, export_id FROM core.patient"))

    def state(self) -> list[list[tuple[Any, ...]]]:
        """Everything that must not depend on how it came to be."""
        return [self.rows(f"FROM {table} ORDER BY ALL") for table in STATE]


def _line(number: int, resource: dict[str, Any]) -> Line:
    meta = resource["meta"]
    return Line(
        resource["id"],
        parse_instant(meta["lastUpdated"]) if "lastUpdated" in meta else None,
        _digest(resource),
        bool(meta.get("tag")),
        SOURCE_FILE,
        number,
    )


def _digest(resource: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(resource).encode(), digest_size=16).hexdigest()


def _screened(number: int, resource: dict[str, Any]) -> str:
    return json.dumps({"ecw_line": number, "ecw_hash": _digest(resource), **resource}) + "\n"


def _flat_select(table: WarehouseTable, export: Brought, screened: Path) -> str:
    return (
        f"SELECT {literal(export.connection_id)} AS connection_id, {_SELECTS[table.name]},"
        f" {literal(export.export_id)} AS export_id, {literal(SOURCE_FILE)} AS source_file,"
        f" ecw_line AS source_line FROM read_json({literal(str(screened))},"
        " format = 'newline_delimited', columns = {id: 'VARCHAR', family: 'VARCHAR',"
        " given: 'VARCHAR[]', ecw_line: 'BIGINT'})"
    )


@contextmanager
def books(folder: Path) -> Iterator[Books]:
    """An empty warehouse with both tables."""
    with working_warehouse(folder / "working.duckdb") as connection:
        connection.execute("SET threads = 1")  # tiny statements are a third cheaper so
        one = Books(connection, folder / "exports")
        one.empty()
        yield one


def states_of(one: Books, orders: Iterable[Sequence[Brought]]) -> list[list[list[tuple[Any, ...]]]]:
    """The different states that these orders of loading end in."""
    found: list[list[list[tuple[Any, ...]]]] = []
    for order in orders:
        one.empty()
        one.load(*order)
        if one.state() not in found:
            found.append(one.state())
    return found
