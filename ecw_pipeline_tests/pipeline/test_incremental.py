"""Syncs after the first: nothing moves without a change, and every change arrives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ecw_pipeline.stages.tables import all_tables
from ecw_pipeline_tests.pipeline.harness import Site, site, table_dump

MAIN_TABLES = {t.resource_type: t.name for t in all_tables(None).values() if t.is_main}


@pytest.fixture
def synced(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as one:
        one.sync("2026-01-05")
        yield one


def _moved(one: Site) -> list[tuple[int, int]]:
    """Per export in order: resources new or changed, and deleted."""
    return one.rows(
        "SELECT sum(resources_changed)::INT, sum(resources_deleted)::INT FROM ops.load"
        " GROUP BY export_id ORDER BY export_id"
    )


def _assert_equal_to_server(one: Site) -> None:
    for resource_type, table in MAIN_TABLES.items():
        rows = one.rows(f"SELECT {table}_id, meta_last_updated FROM core.{table}")
        truth = [(r["id"], r["meta"]["lastUpdated"]) for r in one.truth(resource_type)]
        assert sorted(rows) == sorted(truth), resource_type


def test_the_first_sync_equals_the_server(synced: Site) -> None:
    _assert_equal_to_server(synced)


def test_a_second_sync_with_no_change_moves_no_row(synced: Site) -> None:
    before = table_dump(synced.data)

    synced.sync("2026-01-06")

    assert table_dump(synced.data) == before
    assert _moved(synced)[1] == (0, 0)


def test_a_full_refresh_with_no_change_moves_no_row(synced: Site) -> None:
    before = table_dump(synced.data)

    synced.sync("2026-01-06", is_full=True)

    assert table_dump(synced.data) == before
    assert _moved(synced)[1] == (0, 0)


def test_a_sync_after_days_have_passed_applies_exactly_their_changes(synced: Site) -> None:
    known = {name: {r["id"] for r in synced.truth(name)} for name in MAIN_TABLES}
    changes = synced.advance(days=10)

    synced.sync("2026-01-15")

    _assert_equal_to_server(synced)
    gone = {name: known[name] - {r["id"] for r in synced.truth(name)} for name in MAIN_TABLES}
    deleted = synced.rows(
        "SELECT resource_type, resources_deleted FROM ops.load WHERE resources_deleted > 0"
    )
    assert {name: count for name, count in deleted if name in MAIN_TABLES} == {
        name: len(ids) for name, ids in gone.items() if ids
    }
    assert sum(changes["deleted"].values()) > 0


def test_an_incremental_export_fetches_only_what_changed(synced: Site) -> None:
    synced.advance(days=1)

    synced.sync("2026-01-06")

    received = synced.rows(
        "SELECT sum(lines_received)::INT FROM ops.load GROUP BY export_id ORDER BY export_id"
    )
    assert 0 < received[1][0] < received[0][0] / 4


def test_the_warehouse_says_which_exports_it_holds(synced: Site) -> None:
    synced.sync("2026-01-06")

    assert synced.rows("SELECT DISTINCT state FROM ops.export") == [("loaded",)]
    assert synced.rows("SELECT count(*) FROM ops.export") == [(2,)]
