"""Assets of the marts: each one SQL file over `core`."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import duckdb

from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.labels import FRESHNESS, dictionary
from ecw_pipeline.defs.partitions import ONE_RUN
from ecw_pipeline.defs.resources import LakeResource, WarehouseResource
from ecw_pipeline.defs.table_specs import SCHEMA, columns_of_mart
from ecw_pipeline.errors import EcwError, raise_first
from ecw_pipeline.marts.catalog import Mart
from ecw_pipeline.stages.loading import build_marts
from ecw_pipeline.warehouse.mart_runner import complete_up_to, mart_columns
from ecw_pipeline.warehouse.schema import WarehouseColumn


def mart_assets(marts: Mapping[str, Mart], table_names: frozenset[str]) -> dg.AssetsDefinition:
    """One multi-asset, so that all marts of a run are published in one step."""

    @dg.multi_asset(
        name="marts",
        specs=[_spec(mart, table_names) for mart in marts.values()],
        can_subset=True,
        group_name="marts",
        backfill_policy=ONE_RUN,
    )
    def build(
        context: dg.AssetExecutionContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
        errors: list[EcwError] = []
        with spoken_failures(context):
            rows = build_marts(lake.open(), [marts[name] for name in chosen], errors)
        with warehouse.read() as connection:
            columns = mart_columns(connection)
            known = {name: _metadata(connection, name, columns[name]) for name in rows}
        for name, count in rows.items():
            yield dg.MaterializeResult(
                asset_key=["marts", name], metadata={"dagster/row_count": count, **known[name]}
            )
        with spoken_failures(context):
            raise_first(errors)

    return build


def _metadata(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Sequence[WarehouseColumn]
) -> dict[str, dg.MetadataValue]:
    """The columns, and up to when all that was read is loaded, if the mart reads resources."""
    schema = dg.MetadataValue.table_schema(columns_of_mart(columns))
    metadata: dict[str, dg.MetadataValue] = {SCHEMA: schema}
    if instant := complete_up_to(connection, name):
        metadata["complete_up_to"] = dg.MetadataValue.timestamp(instant)
    return metadata


def _spec(mart: Mart, table_names: frozenset[str]) -> dg.AssetSpec:
    read = sorted(mart.core_tables & table_names)
    return dg.AssetSpec(
        key=["marts", mart.name],
        deps=[dg.AssetKey(["core", name]) for name in read],
        description=f"{mart.question}\n\n{mart.caveats}",
        kinds={"duckdb", "sql"},
        freshness_policy=FRESHNESS,
        metadata={
            "sql": dg.MetadataValue.md(f"```sql\n{mart.sql}\n```"),
            **dictionary(f"marts.{mart.name}"),
        },
    )
