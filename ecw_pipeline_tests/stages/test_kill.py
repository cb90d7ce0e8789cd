"""Killed anywhere, the next run continues: nothing twice, nothing lost."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecw_pipeline.warehouse.database import read_published
from ecw_pipeline_tests.pipeline.harness import Site, core_tables, site
from ecw_pipeline_tests.stages.practice import DAY

PATIENCE_SECONDS = 60.0
TYPES = "Patient,Encounter"
# The whole sync as a program, which waits for nothing: after a kill it is simply run again.
SYNC = f"""
from datetime import UTC, datetime
from ecw_pipeline.clock import ManualClock
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.exports import start_exports
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.sync import bring_home

lake = Lake(Settings.from_environment(), ManualClock(datetime.now(UTC)))
exports = [e for c in lake.connections() for e in start_exports(lake, c, [{DAY!r}])]
bring_home(lake, [export.export_id for export in exports])
"""

Moment = Callable[[Path], bool]


def _appears(pattern: str) -> Moment:
    return lambda data: next(data.glob(pattern), None) is not None


def _after(seconds: float) -> Moment:
    """Some time after the process began to write."""
    began: list[float] = []

    def is_over(data: Path) -> bool:
        if not began and (data / "state").exists():
            began.append(time.monotonic())
        return bool(began) and time.monotonic() - began[0] > seconds

    return is_over


_RANDOM = random.Random(7)
MOMENTS: dict[str, Moment] = {
    "first landing file": _appears("landing/*/*/[A-Z]*/*.ndjson*"),
    "screened folder": _appears("landing/*/*/screened"),
    "first flat file": _appears("flat/*/*.parquet"),
    "working warehouse": _appears("state/warehouse.duckdb"),
    "published warehouse": _appears("warehouse.duckdb"),
    **{f"random {n}": _after(_RANDOM.uniform(0.0, 2.0)) for n in range(2)},
}


def _begin() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-W", "error", "-c", SYNC], env=dict(os.environ))


def _finish() -> None:
    process = _begin()
    assert process.wait(PATIENCE_SECONDS) == 0


def _kill_at(moment: Moment, data: Path) -> None:
    """Start a sync and kill it at a moment seen from outside."""
    process = _begin()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and not moment(data):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was over before we looked"


def _rows(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of `core` without the ids of exports, which are drawn."""
    with read_published(data / "warehouse.duckdb") as connection:
        return {
            name: connection.execute(
                f'SELECT * EXCLUDE (export_id) FROM core."{name}" ORDER BY ALL'
            ).fetchall()
            for name in core_tables(connection)
        }


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        site(tmp_path_factory.mktemp("kill"), patients=2, lines_per_file=5) as one,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("ECW_RESOURCE_TYPES", TYPES)
        yield one


@pytest.fixture(scope="module")
def unkilled(shared: Site) -> dict[str, list[tuple[Any, ...]]]:
    _finish()
    return _rows(shared.data)


def _reset(shared: Site) -> None:
    httpx.post(f"{shared.sandbox.server_url}/sandbox/reset-stats").raise_for_status()


@pytest.mark.parametrize("name", MOMENTS)
def test_a_run_after_a_kill_ends_as_one_that_was_never_killed(
    shared: Site,
    unkilled: dict[str, list[tuple[Any, ...]]],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ECW_DATA", str(tmp_path / "data"))
    _reset(shared)

    _kill_at(MOMENTS[name], tmp_path / "data")
    _finish()

    assert _rows(tmp_path / "data") == unkilled
    seen = shared.stats()
    fetches = [use["count"] for use in seen["files"].values()]
    assert len(seen["exports"]) == 1
    assert sum(fetches) - len(fetches) <= 1, "only the file in flight may be fetched again"
    with read_published(tmp_path / "data" / "warehouse.duckdb") as connection:
        for table, place in (("file", "source_file"), ("load", "resource_type")):
            repeats = connection.execute(
                f"SELECT {place} FROM ops.{table} GROUP BY {place} HAVING count(*) > 1"
            ).fetchall()
            assert repeats == [], table
