"""Partition days. A day is an address for exports, not a window of the data in them."""

from collections.abc import Sequence

import dagster as dg

from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.lake import Lake

# Today is a partition too: an export asked for now answers today.
DAYS = dg.DailyPartitionsDefinition(
    start_date=Settings.from_environment().partitions_start, timezone="UTC", end_offset=1
)
# A backfill of thirty days is one run, and so one export.
ONE_RUN = dg.BackfillPolicy.single_run()

# A run that the sensor asked for lands one export: it waits for no other practice's.
LANDS_TAG = "ecw_lands"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def exports_of_run(context: dg.AssetExecutionContext, lake: Lake) -> list[Export]:
    """The exports that answer the run's partition days and still stand, of every connection.

    Of them only the one that the run was requested for, where it was requested for one.
    """
    only = context.run.tags.get(LANDS_TAG)
    return [
        export
        for connection in lake.settings.connections()
        for export in lake.ledger.exports_of_days(connection.connection_id, context.partition_keys)
        if not export.is_void and only in (None, export.export_id)
    ]


def range_tags(days: Sequence[str]) -> dict[str, str]:
    """Run tags that select the days from the first to the last."""
    return {RANGE_START: min(days), RANGE_END: max(days)}
