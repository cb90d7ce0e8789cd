"""A practice with changes to pull, to compare an interrupted run with one that was not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from ecw_pipeline.warehouse.database import read_published
from ecw_pipeline_tests.pipeline.harness import Site, site
from ecw_pipeline_tests.stages.child import TYPES, sync
from ecw_pipeline_tests.stages.practice import DAY, write_lines

NEXT_DAY = "2026-01-06"
# What the clock of a run says, by table of `ops`.
_DRAWN = {"load": "loaded_at, load_seconds", "export": "requested_at, completed_at"}

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Prepared:
    """A practice that was pulled once; since then its server has changes and deletions."""

    site: Site
    pulled: Path
    environment: pytest.MonkeyPatch

    def begin(self, data: Path, *, is_first: bool = False) -> None:
        """Let the next sync be into ``data``: the first one of all, or the one after changes."""
        self.environment.setenv("ECW_DATA", str(data))
        if not is_first:
            shutil.copytree(self.pulled, data, dirs_exist_ok=True)
        httpx.post(f"{self.site.sandbox.server_url}/sandbox/reset-stats").raise_for_status()


@dataclass(frozen=True)
class Whole:
    """How a run ends that is not interrupted, and the work it takes."""

    rows: Rows
    cpu_seconds: float


@contextmanager
def prepared_practice(folder: Path) -> Iterator[Prepared]:
    """Pull a small practice, then let days pass at its server."""
    options: dict[str, Any] = {"data": write_data(folder / "lines"), "lines_per_file": 5}
    with (
        site(folder, export_seconds=0.0, **options) as one,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("ECW_RESOURCE_TYPES", ",".join(TYPES))
        assert sync(DAY).exit_code == 0
        changes = one.advance(days=2)
        assert all(changes[kind] for kind in ("new", "changed", "deleted"))
        yield Prepared(one, folder / "data", environment)


def whole_run(prepared: Prepared, data: Path, *, is_first: bool) -> Whole:
    """Sync without interruption."""
    prepared.begin(data, is_first=is_first)
    ending = sync(NEXT_DAY)
    assert ending.exit_code == 0, ending.said
    return Whole(all_rows(data), ending.cpu_seconds)


def write_data(folder: Path) -> Path:
    """Patients that do not say when they changed, conditions that do; an unreadable line."""
    people = [
        {"resourceType": "Patient", "id": name, "name": [{"family": name}], "gender": "female"}
        for name in ("ann", "bob", "cyd", "dan", "eva")
    ]
    write_lines(folder, "Patient", *people, "{")
    conditions = [
        {
            "resourceType": "Condition",
            "id": f"c{number}",
            "subject": {"reference": "Patient/ann"},
            "code": {"coding": [{"code": str(number), "system": "http://snomed.info/sct"}]},
            "meta": {"lastUpdated": "2025-03-01T00:00:00Z"},
        }
        for number in range(10)
    ]
    return write_lines(folder, "Condition", *conditions)


def all_rows(data: Path) -> Rows:
    """Every row of every table; exports by their order, their instants too."""
    with read_published(data / "warehouse.duckdb") as connection:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL"
        ).fetchall()
        known = _ordinals(connection)
        return {
            f"{schema}.{name}": [
                tuple(known.get(value, value) for value in row)
                for row in _read(connection, schema, name)
            ]
            for schema, name in tables
        }


def _read(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> list[tuple[Any, ...]]:
    drawn = f"EXCLUDE ({_DRAWN[name]})" if schema == "ops" and name in _DRAWN else ""
    return connection.execute(f'SELECT * {drawn} FROM {schema}."{name}" ORDER BY ALL').fetchall()


def _ordinals(connection: duckdb.DuckDBPyConnection) -> dict[str | datetime, str]:
    """What is drawn for an export, by which one it is."""
    rows = connection.execute(
        "SELECT export_id, transaction_time FROM ops.export ORDER BY transaction_time"
    ).fetchall()
    ids = {export_id: f"export {n}" for n, (export_id, _) in enumerate(rows)}
    return ids | {at: f"instant {n}" for n, (_, at) in enumerate(rows)}
