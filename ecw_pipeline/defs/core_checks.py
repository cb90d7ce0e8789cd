"""Checks of the warehouse's tables: nothing lost, nothing twice, nothing that leads nowhere."""

from collections.abc import Iterator, Sequence

import dagster as dg
import duckdb

from ecw_pipeline.defs.quality_checks import judge_quality, quality_specs
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.tables import Table, why_uncompilable
from ecw_pipeline.warehouse.inspection import TableFacts
from ecw_pipeline.warehouse.reconciliation import references, soundness

ONE_ROW_EACH = "one_row_per_resource"
ROWS_SOUND = "rows_sound"
REFERENCES_RESOLVE = "references_resolve"


def check_specs(tables: Sequence[Table]) -> list[dg.AssetCheckSpec]:
    """What is checked of each table.

    Marts wait for main tables that hold every resource. A table whose view fails is behind, which
    is told, and keeps nothing waiting.
    """
    return [spec for table in tables for spec in _specs(table)]


def _specs(table: Table) -> Iterator[dg.AssetCheckSpec]:
    key, name = ["core", table.name], f"core.{table.name}"
    if table.is_main:
        words = f"{name} holds exactly one row per live {table.resource_type}."
        yield dg.AssetCheckSpec(ONE_ROW_EACH, asset=key, description=words, blocking=True)
        yield from quality_specs(table)
    words = f"Each row of {name} is of a live {table.resource_type}, and none is there twice."
    yield dg.AssetCheckSpec(ROWS_SOUND, asset=key, description=words)
    if _has_references(table):
        words = f"What {name} refers to is in the warehouse, as far as its type is loaded."
        yield dg.AssetCheckSpec(REFERENCES_RESOLVE, asset=key, description=words)


def judge(
    connection: duckdb.DuckDBPyConnection, table: Table, facts: TableFacts, settings: Settings
) -> Iterator[dg.AssetCheckResult]:
    """The outcome of each check of a table, in the published warehouse."""
    if table.is_main:
        yield _judge_rows(table, facts)
        yield from judge_quality(connection, table, settings)
    if facts.stale_reason:
        yield from _unjudged(table, facts.stale_reason)
        return
    found = soundness(connection, table.in_warehouse)
    yield dg.AssetCheckResult(
        check_name=ROWS_SOUND,
        asset_key=["core", table.name],
        passed=found.is_sound,
        metadata={"repeated_rows": found.repeated_rows, "stray_rows": found.stray_rows},
    )
    if _has_references(table):
        yield _judge_references(connection, table)


def _judge_rows(table: Table, facts: TableFacts) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if facts.stale_reason else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        check_name=ONE_ROW_EACH,
        asset_key=["core", table.name],
        passed=facts.rows == facts.live_resources and not facts.stale_reason,
        severity=severity,
        metadata={
            "rows": facts.rows,
            "live_resources": facts.live_resources,
            "stale": facts.stale_reason or "no",
        },
    )


def _judge_references(connection: duckdb.DuckDBPyConnection, table: Table) -> dg.AssetCheckResult:
    """A reference that leads nowhere is the server's; it is told, and stops nothing."""
    found = references(connection, table.in_warehouse)
    return dg.AssetCheckResult(
        check_name=REFERENCES_RESOLVE,
        asset_key=["core", table.name],
        passed=not found.unresolved,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "references": found.references,
            "unresolved": found.unresolved,
            "unresolved_share": found.unresolved_share,
        },
    )


def _unjudged(table: Table, reason: str) -> Iterator[dg.AssetCheckResult]:
    """What is loaded since says nothing of a table that is behind."""
    names = [ROWS_SOUND, *([REFERENCES_RESOLVE] if _has_references(table) else [])]
    for name in names:
        yield dg.AssetCheckResult(
            check_name=name,
            asset_key=["core", table.name],
            passed=True,
            metadata={"not judged": f"the table is stale: {reason}"},
        )


def _has_references(table: Table) -> bool:
    return not why_uncompilable(table) and bool(table.in_warehouse.references)
