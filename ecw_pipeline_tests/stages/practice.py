"""A practice behind a proxy, pulled step by step through the stages on a clock of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import EcwError
from ecw_pipeline.files import private_folder
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.sandbox.config import BASE_PATH
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages import landing, loading
from ecw_pipeline.stages.exports import require_arrived, start_exports, wait_for_exports
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.plans import NEWS, Wish
from ecw_pipeline_tests.builders import monday_clock
from ecw_pipeline_tests.empty_warehouse import working_warehouse_before_any_load
from ecw_pipeline_tests.pipeline.harness import Site, site
from ecw_pipeline_tests.stages.proxy import Proxy, proxy_to

DAY = "2026-01-05"


@dataclass(frozen=True)
class Practice:
    """One site, the proxy before it, and the clock that its stages go by."""

    site: Site
    proxy: Proxy
    clock: ManualClock
    environment: pytest.MonkeyPatch

    @property
    def lake(self) -> Lake:
        """A lake as the environment describes it now; waiting takes no time."""
        return Lake(Settings.from_environment(), self.clock)

    def set(self, name: str, value: object) -> None:
        self.environment.setenv(name, str(value))

    def ask(self, day: str = DAY, wish: Wish = NEWS, *, ask_again: bool = False) -> list[Export]:
        lake = self.lake
        return [
            export
            for connection in lake.connections()
            for export in start_exports(lake, connection, [day], wish, ask_again=ask_again)
        ]

    def arrive(self, day: str = DAY, wish: Wish = NEWS, *, ask_again: bool = False) -> list[Export]:
        lake = self.lake
        asked = self.ask(day, wish, ask_again=ask_again)
        ended = wait_for_exports(lake, [export.export_id for export in asked])
        return [require_arrived(export) for export in ended]

    def land(self, *exports: Export) -> dict[str, str]:
        """Land every type of the exports; what failed, with its message."""
        lake = self.lake
        failed = {}
        for export in exports:
            landing.land_side_files(lake, export)
            for one in lake.ledger.types(export.export_id):
                try:
                    landing.land_type(lake, export, one.resource_type)
                except EcwError as error:
                    failed[one.resource_type] = error.message
        return failed

    def load(self) -> list[loading.Loaded]:
        return loading.load_exports(self.lake)

    def pull(self, day: str = DAY, **options: Any) -> list[Export]:
        """Ask, wait, land, load; anything that fails ends the test."""
        exports = self.arrive(day, **options)
        assert self.land(*exports) == {}
        self.load()
        return exports

    def fetches(self, part: str = "") -> dict[str, int]:
        """How often the server sent each file whose name holds ``part``."""
        files: dict[str, Any] = self.site.stats()["files"]
        return {name: use["count"] for name, use in files.items() if part in name}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.site.rows(sql)

    def stale(self) -> list[str]:
        rows = self.rows("SELECT table_name FROM ops.table_state WHERE is_stale ORDER BY 1")
        return [name for (name,) in rows]


@contextmanager
def practice(folder: Path, *, has_tables: bool = True, **config: Any) -> Iterator[Practice]:
    """A sandbox with the proxy before it; with empty tables, unless a test is of making them."""
    options = {"patients": 2, "export_seconds": 0.0, "retry_after_seconds": 1} | config
    with (
        site(folder, **options) as one,
        proxy_to(one.sandbox.server_url) as proxy,
        pytest.MonkeyPatch.context() as environment,
    ):
        made = Practice(one, proxy, monday_clock(), environment)
        made.set("ECLINICALWORKS_FHIR_ENDPOINT", proxy.url + BASE_PATH)
        if has_tables:
            path = made.lake.folder.working_warehouse
            private_folder(path.parent)
            path.write_bytes(working_warehouse_before_any_load())
        yield made


def write_lines(folder: Path, resource_type: str, *lines: str | dict[str, Any]) -> Path:
    """Let the server have these lines of a type; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    path = folder / f"{resource_type}.ndjson"
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return folder


def small_data(folder: Path) -> Path:
    """Three patients and a practitioner."""
    people = [
        {
            "resourceType": "Patient",
            "id": name,
            "gender": "female",
            "name": [{"family": name.title(), "given": [name]}],
            "meta": {"lastUpdated": "2025-03-01T00:00:00Z"},
        }
        for name in ("ann", "bob", "cyd")
    ]
    write_lines(folder, "Patient", *people)
    doctor = {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Doe"}]}
    return write_lines(folder, "Practitioner", doctor)


def view(name: str, path: str, column: str = "answer") -> dict[str, Any]:
    """A user's own view of patients with one column."""
    return {
        "resourceType": "ViewDefinition",
        "name": name,
        "status": "active",
        "resource": "Patient",
        "select": [{"column": [{"name": column, "path": path}]}],
    }
