"""A sandbox, a data folder and a Dagster instance that know of each other."""

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import httpx
import pytest

from ecw_pipeline.errors import EcwError
from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.sandbox.config import SandboxConfig, Window
from ecw_pipeline.sandbox.server import RunningSandbox, running_sandbox
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline.stages.sync import Synced, ask_all, bring_home
from ecw_pipeline.warehouse.database import read_published

# Tests of what is loaded do not wait for a rate: the budget has tests of its own.
WIDE = (Window(100_000, 1.0, "rolling"),)
# The jobs' own configuration, which that of a test takes the place of.
ASKS = {"full_refresh": {"full": True}, "enhanced_sync": {"types": list(BRIEF_TYPES)}}
WIDE_SETTING = "100000/1s"


@dataclass(frozen=True)
class Site:
    """One practice: its server, and the data folder it is pulled into."""

    sandbox: RunningSandbox
    data: Path

    @property
    def lake(self) -> Lake:
        return Lake.from_environment()

    def advance(self, days: int) -> dict[str, Any]:
        """Let days pass at the server; returns the counts of what changed."""
        reply = httpx.post(
            f"{self.sandbox.server_url}/sandbox/advance", json={"days": days}, timeout=60
        )
        document: dict[str, Any] = reply.raise_for_status().json()
        return document

    def truth(self, resource_type: str) -> list[dict[str, Any]]:
        """The server's live resources of a type."""
        url = f"{self.sandbox.server_url}/sandbox/truth/{resource_type}"
        lines = httpx.get(url, timeout=60).raise_for_status().text.splitlines()
        return [json.loads(line) for line in lines]

    def stats(self) -> dict[str, Any]:
        """What the server counted."""
        document: dict[str, Any] = httpx.get(f"{self.sandbox.server_url}/sandbox/stats").json()
        return document

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the published warehouse."""
        with read_published(self.data / "warehouse.duckdb") as connection:
            return connection.execute(sql).fetchall()

    def sync(self, day: str, *, is_full: bool = False) -> Synced:
        """The whole job through the stages alone."""
        lake = self.lake
        errors: list[EcwError] = []
        asked = ask_all(lake, day, errors, Wish(is_full))
        if errors:
            raise errors[0]
        return bring_home(lake, [export.export_id for export in asked])

    def run(self, job_name: str, day: str) -> dg.ExecuteInProcessResult:
        """Run a job for a day as a Dagster run, whose records are kept nowhere."""
        from ecw_pipeline.definitions import defs

        job = defs.resolve_job_def(job_name)
        config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        if job_name in ASKS:
            config["ops"] = {"export_request": {"config": ASKS[job_name]}}
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(
                instance=instance,
                partition_key=day if job.partitions_def else None,
                run_config=config,
                raise_on_error=False,
            )
        failures = [
            f"{e.step_key}: {e.step_failure_data.error_display_string}"
            for e in result.all_events
            if e.is_step_failure
        ]
        assert result.success, failures
        return result


@contextmanager
def site(folder: Path, **config: Any) -> Iterator[Site]:
    """A running sandbox with a data folder of its own, in the environment."""
    options: dict[str, Any] = {
        "port": 0,
        "windows": WIDE,
        "export_seconds": 0.05,
        "patients": 20,
    } | config
    with running_sandbox(SandboxConfig(**options)) as running, pytest.MonkeyPatch.context() as env:
        settings = {
            "ECW_DATA": folder / "data",
            "ECW_PROVIDER": "smart-sandbox",
            "ECW_RATE_WINDOWS": WIDE_SETTING,
            "ECLINICALWORKS_FHIR_ENDPOINT": running.base_url,
            "ECLINICALWORKS_CLIENT_ID": running.config.client_id,
            "ECLINICALWORKS_CLIENT_SECRET": running.config.client_secret,
        }
        for name, value in settings.items():
            env.setenv(name, str(value))
        yield Site(running, folder / "data")


def source_lines(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The resources of a folder of NDJSON, by type."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.ndjson.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found[path.name.split(".")[0]] = [json.loads(line) for line in lines]
    return found


def table_dump(data: Path, *schemas: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the schemas, `core` where none is named, in a fixed order."""
    with read_published(data / "warehouse.duckdb") as connection:
        names = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
            " WHERE schema_name IN (SELECT unnest(?)) ORDER BY 1",
            [list(schemas or ("core",))],
        ).fetchall()
        return {
            name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for (name,) in names
        }


def core_tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of the tables of `core`."""
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core' ORDER BY 1"
    ).fetchall()
    return [name for (name,) in rows]


def folder_files(folder: Path) -> list[str]:
    """Every file below a folder, for comparison."""
    return sorted(str(Path(root) / name) for root, _, names in os.walk(folder) for name in names)
