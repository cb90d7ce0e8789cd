"""Assets of the export itself: what was asked for, and the manifest that answered."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from ecw_pipeline.defs.arrival import SPEC, judge_arrival
from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.figures import figures_of_arrived, figures_of_asked
from ecw_pipeline.defs.partitions import DAYS, ONE_RUN, exports_of_run
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.errors import ConfigurationError, EcwError, raise_first
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages import exports, landing
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline.stages.sync import ask_for_types

EXPORT_TAG = "ecw_export"
SINCE_TAG = "ecw_since"


class ExportConfig(dg.Config):
    """How to ask where a day has its answer already; nothing said, it is not asked again.

    ``force`` asks for the changes since what has landed, ``full`` for everything anew, ``since``
    for the changes since an instant. ``types`` asks for these alone, so far as they are offered.
    """

    force: bool = False
    full: bool = False
    since: str = ""
    types: list[str] = Field(default=[])


@dg.asset(
    check_specs=[SPEC],
    partitions_def=DAYS,
    backfill_policy=ONE_RUN,
    group_name="export_request",
    kinds={"fhir"},
)
def export_request(
    context: dg.AssetExecutionContext, config: ExportConfig, lake: LakeResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Ask every connection for the changes since what has landed; one export answers many days."""
    opened = lake.open()
    with spoken_failures(context):
        asked = _ask_all(opened, context, config)
    figures = figures_of_asked(opened, asked)
    yield dg.MaterializeResult(metadata=figures, check_results=[judge_arrival(opened)])


def _ask_all(lake: Lake, context: dg.AssetExecutionContext, config: ExportConfig) -> list[Export]:
    """Ask each connection; one that fails does not keep the others from being asked."""
    asked: list[Export] = []
    errors: list[EcwError] = []
    since = parse_instant(config.since) if config.since else None
    days = context.partition_keys
    for connection in lake.usable_connections(errors):
        try:
            if config.types:
                asked += ask_for_types(lake, connection, days, config.types, since)
                continue
            wish = Wish(config.full, since)
            asked += exports.start_exports(lake, connection, days, wish, ask_again=config.force)
        except EcwError as error:
            errors.append(error)
    tags = {f"{EXPORT_TAG}/{export.export_id}": export.connection_id for export in asked}
    tags |= {f"{SINCE_TAG}/{one.export_id}": exports.describe(one)["since"] for one in asked}
    context.instance.add_run_tags(context.run.run_id, tags)
    raise_first(errors + [exports.why_failed(one) for one in asked if one.state == "failed"])
    return asked


@dg.asset(
    deps=[export_request],
    partitions_def=DAYS,
    backfill_policy=ONE_RUN,
    group_name="export_manifest",
    kinds={"fhir", "json"},
)
def export_manifest(
    context: dg.AssetExecutionContext, lake: LakeResource
) -> dg.MaterializeResult[None]:
    """Wait for the exports of these days, keep their manifests, and fetch what was deleted."""
    opened = lake.open()
    with spoken_failures(context):
        arrived = _await_all(opened, context)
    return dg.MaterializeResult(metadata=figures_of_arrived(opened, arrived))


def _await_all(lake: Lake, context: dg.AssetExecutionContext) -> list[Export]:
    wanted = [export.export_id for export in exports_of_run(context, lake)]
    if not wanted:
        raise ConfigurationError(
            "no export that stands answers these days", "materialise export_request of them first"
        )
    ended = exports.wait_for_exports(lake, wanted)
    errors: list[EcwError] = []
    for export in ended:
        try:
            landing.land_deletions(lake, exports.require_arrived(export))
        except EcwError as error:
            errors.append(error)
            context.log.error(str(error))
            continue
        try:
            landing.land_outcomes(lake, export)
        except EcwError as error:  # the resources are good without the server's words
            context.log.error(str(error))
    if len(errors) == len(ended):
        raise_first(errors)
    return ended
