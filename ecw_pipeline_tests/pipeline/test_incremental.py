"""Syncs after the first: nothing moves without a change, and every change arrives."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetCheckSeverity

from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.stages.tables import all_tables
from ecw_pipeline.warehouse.database import read_published
from ecw_pipeline_tests.pipeline.harness import Site, site, table_dump

# Four syncs of every type would take half as long again, and try nothing more.
TYPES = (*BRIEF_TYPES, "Goal", "Group", "Practitioner", "Medication", "Claim")
MAIN_TABLES = {
    table.resource_type: table.name
    for table in all_tables(None).values()
    if table.is_main and table.resource_type in TYPES
}
Resources = dict[str, list[tuple[str, str]]]


@dataclass(frozen=True)
class After:
    """What the warehouse held after a sync, and what the server had: ids with their instants."""

    tables: dict[str, list[tuple[Any, ...]]]
    loaded: Resources
    served: Resources


@dataclass(frozen=True)
class Story:
    """One practice that is synced again, then in full, then after ten days."""

    first: After
    again: After
    in_full: After
    days_later: After
    changes: dict[str, Any]
    loads: list[tuple[Any, ...]]
    deleted: list[tuple[str, int]]
    export_states: list[tuple[str]]


def _sync(one: Site, day: str, *, is_full: bool = False) -> After:
    one.sync(day, is_full=is_full)
    with read_published(one.data / "warehouse.duckdb") as warehouse:
        rows = {
            resource_type: sorted(
                warehouse.execute(
                    f"SELECT {table}_id, meta_last_updated FROM core.{table}"
                ).fetchall()
            )
            for resource_type, table in MAIN_TABLES.items()
        }
    return After(
        table_dump(one.data),
        rows,
        {
            resource_type: sorted(
                (r["id"], r["meta"]["lastUpdated"]) for r in one.truth(resource_type)
            )
            for resource_type in MAIN_TABLES
        },
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("incremental")
    with pytest.MonkeyPatch.context() as env, site(folder) as one:
        env.setenv("ECW_RESOURCE_TYPES", ",".join(TYPES))
        first = _sync(one, "2026-01-05")
        again = _sync(one, "2026-01-06")
        in_full = _sync(one, "2026-01-07", is_full=True)
        changes = one.advance(days=10)
        days_later = _sync(one, "2026-01-17")
        loads = one.rows(
            "SELECT sum(lines_received)::INT, sum(resources_changed)::INT,"
            " sum(resources_deleted)::INT FROM ops.load GROUP BY export_id ORDER BY export_id"
        )
        deleted = one.rows(
            "SELECT resource_type, resources_deleted FROM ops.load WHERE resources_deleted > 0"
        )
        states = one.rows("SELECT state FROM ops.export")
        yield Story(first, again, in_full, days_later, changes, loads, deleted, states)


def _gone(story: Story) -> dict[str, int]:
    """How many resources the server no longer has, by type."""
    before, now = story.in_full.served, story.days_later.served
    return {
        name: gone
        for name in MAIN_TABLES
        if (gone := len({i for i, _ in before[name]} - {i for i, _ in now[name]}))
    }


def test_the_first_sync_equals_the_server(story: Story) -> None:
    assert story.first.loaded == story.first.served


def test_a_second_sync_with_no_change_moves_no_row(story: Story) -> None:
    assert story.again.tables == story.first.tables
    assert story.loads[1][1:] == (0, 0)


def test_a_full_refresh_with_no_change_moves_no_row(story: Story) -> None:
    assert story.in_full.tables == story.first.tables
    assert story.loads[2][1:] == (0, 0)


def test_a_sync_after_days_have_passed_equals_the_server(story: Story) -> None:
    assert story.days_later.loaded == story.days_later.served


def test_a_sync_after_days_have_passed_deletes_exactly_what_is_gone(story: Story) -> None:
    assert {name: count for name, count in story.deleted if name in MAIN_TABLES} == _gone(story)
    assert sum(story.changes["deleted"].values()) > 0


def test_an_incremental_export_fetches_only_what_changed(story: Story) -> None:
    changes = (story.changes[kind].get(name, 0) for kind in ("new", "changed") for name in TYPES)
    changed = sum(changes)

    assert story.loads[1][0] == 0
    assert story.loads[3][0] == changed < story.loads[2][0]


def test_the_warehouse_says_which_exports_it_holds(story: Story) -> None:
    assert story.export_states == [("loaded",)] * 4


def test_an_enhanced_sync_brings_the_types_of_the_brief_alone(tmp_path: Path) -> None:
    with site(tmp_path, patients=6) as one:
        result = one.run("enhanced_sync", "2026-01-05")

        loaded = one.rows("SELECT resource_type FROM ops.load WHERE lines_landed > 0")
        (export,) = one.lake.ledger.exports()
    assert {name for (name,) in loaded} == set(BRIEF_TYPES)
    assert (export.state, export.is_partial) == ("loaded", True)
    found = result.get_asset_check_evaluations()
    failed = [one for one in found if not one.passed and one.severity is AssetCheckSeverity.ERROR]
    assert len(found) > 500
    assert not failed
