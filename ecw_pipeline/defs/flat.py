"""Assets of flattening: one per table, one step per resource type."""

from collections import Counter
from collections.abc import Iterator, Sequence

import dagster as dg

from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.figures import seconds_since
from ecw_pipeline.defs.labels import tags_of
from ecw_pipeline.defs.partitions import DAYS, ONE_RUN, exports_of_run
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.defs.table_specs import SCHEMA, columns_of_table, described
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.flattening import flatten_type
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.tables import Table, why_uncompilable

VIEW_WORKS = "view_works"


def flat_assets(tables: Sequence[Table]) -> list[dg.AssetsDefinition]:
    """An asset per table: its rows of each export, as Parquet."""
    types = dict.fromkeys(table.resource_type for table in tables)
    return [_step(name, [t for t in tables if t.resource_type == name]) for name in types]


def _step(resource_type: str, tables: Sequence[Table]) -> dg.AssetsDefinition:
    """All tables of one type, or of none. A view that fails is a failed check, not a failed step:
    the tables after it are loaded all the same.
    """
    by_name = {table.name: table for table in tables}

    @dg.multi_asset(
        name=f"flat_{snake_case(resource_type) or 'of_no_type'}",
        specs=[_spec(table) for table in tables],
        check_specs=[_check_of(table) for table in tables],
        can_subset=True,
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
    )
    def flat(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        opened = lake.open()
        exports = [export for export in exports_of_run(context, opened) if export.has_arrived]
        names = sorted(key.path[-1] for key in context.selected_asset_keys)
        # A table's view may have changed since.
        tables = [opened.tables.get(name, by_name[name]) for name in names]
        began = opened.clock.now()
        with spoken_failures(context):
            rows_written, reasons = _flatten(opened, tables, exports)
        seconds = seconds_since(opened, began)
        for name in names:
            yield _result(name, rows_written[name], reasons.get(name, ""), seconds)

    return flat


def _flatten(
    lake: Lake, tables: Sequence[Table], exports: Sequence[Export]
) -> tuple[Counter[str], dict[str, str]]:
    """How many rows were written for each table, and why views fail."""
    rows_written: Counter[str] = Counter()
    reasons = {table.name: why for table in tables if (why := why_uncompilable(table))}
    for export in exports:
        done, broken = flatten_type(lake, tables, export)
        rows_written.update({one.table: one.rows_written for one in done})
        reasons |= broken
    return rows_written, reasons


def _result(
    name: str, rows_written: int, reason: str, seconds: float
) -> dg.MaterializeResult[None]:
    """What is to be said of a table; the seconds are those of all of its type."""
    check = dg.AssetCheckResult(
        check_name=VIEW_WORKS,
        asset_key=["flat", name],
        passed=not reason,
        metadata={"reason": reason or "none"},
    )
    return dg.MaterializeResult(
        asset_key=["flat", name],
        metadata={"rows_written": rows_written, "seconds": seconds},
        check_results=[check],
    )


def _check_of(table: Table) -> dg.AssetCheckSpec:
    words = "The table's view can be compiled, and read from the data."
    return dg.AssetCheckSpec(VIEW_WORKS, asset=["flat", table.name], description=words)


def _spec(table: Table) -> dg.AssetSpec:
    known = {} if why_uncompilable(table) else {SCHEMA: columns_of_table(table)}
    return dg.AssetSpec(
        key=["flat", table.name],
        deps=[dg.AssetKey(["raw", table.resource_type])] if table.resource_type else [],
        description=described(table),
        code_version=table.fingerprint,
        group_name="flat",
        kinds={"parquet"},
        tags=tags_of(table.resource_type),
        metadata={"view_definition": table.origin, **known},
    )
