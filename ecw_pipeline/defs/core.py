"""Assets of the warehouse's tables. They are loaded together: an export is loaded whole."""

from collections.abc import Iterator, Sequence

import dagster as dg

from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.flat import described
from ecw_pipeline.defs.partitions import ONE_RUN
from ecw_pipeline.defs.raw import OTHER_TYPES
from ecw_pipeline.defs.resources import LakeResource, WarehouseResource
from ecw_pipeline.stages.loading import Loaded, load_exports
from ecw_pipeline.stages.tables import Table, why_uncompilable
from ecw_pipeline.warehouse.inspection import TableFacts, table_facts

ONE_ROW_EACH = "one_row_per_resource"


def core_assets(tables: Sequence[Table]) -> dg.AssetsDefinition:
    """One multi-asset: selecting any table loads every export that is waiting."""
    by_name = {table.name: table for table in tables}

    @dg.multi_asset(
        name="core",
        specs=[_spec(table) for table in tables],
        check_specs=[_check_of(table) for table in tables if table.is_main],
        can_subset=True,
        group_name="core",
        backfill_policy=ONE_RUN,
    )
    def core(
        context: dg.AssetExecutionContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with spoken_failures(context):
            loaded = load_exports(lake.open())
        chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
        with warehouse.read() as connection:
            facts = {
                name: table_facts(connection, name, by_name[name].resource_type) for name in chosen
            }
        for name in chosen:
            yield _result(by_name[name], facts[name], loaded)

    return core


def _spec(table: Table) -> dg.AssetSpec:
    reason = why_uncompilable(table)
    known = {"view_fails": reason} if reason else {"dagster/column_schema": _schema(table)}
    return dg.AssetSpec(
        key=["core", table.name],
        deps=[dg.AssetKey(["flat", table.name]), OTHER_TYPES],
        description=described(table),
        code_version=table.fingerprint,
        kinds={"duckdb"},
        metadata={"view_definition": table.origin, **known},
    )


def _schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.name, column.sql_type, column.comment)
            for column in table.in_warehouse.columns
        ]
    )


def _check_of(table: Table) -> dg.AssetCheckSpec:
    words = f"core.{table.name} holds exactly one row per live {table.resource_type}."
    return dg.AssetCheckSpec(ONE_ROW_EACH, asset=["core", table.name], description=words)


def _result(table: Table, facts: TableFacts, loaded: list[Loaded]) -> dg.MaterializeResult[None]:
    mine = [one for one in loaded if one.resource_type == table.resource_type]
    metadata = {
        "dagster/row_count": facts.rows,
        "exports_loaded": len({one.export_id for one in mine}),
        "resources_changed": sum(one.moved.resources_changed for one in mine),
        "resources_deleted": sum(one.moved.resources_deleted for one in mine),
    }
    checks = []
    if table.is_main:
        checks = [
            dg.AssetCheckResult(
                check_name=ONE_ROW_EACH,
                asset_key=["core", table.name],
                passed=facts.rows == facts.live_resources and not facts.stale_reason,
                metadata={
                    "rows": facts.rows,
                    "live_resources": facts.live_resources,
                    "stale": facts.stale_reason or "no",
                },
            )
        ]
    return dg.MaterializeResult(
        asset_key=["core", table.name],
        metadata={**metadata, "stale": facts.stale_reason or "no"},
        check_results=checks,
    )
