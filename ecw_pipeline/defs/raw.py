"""Assets of landing: one per resource type that has tables, and one for all other types."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg

from ecw_pipeline.defs.exports import export_manifest
from ecw_pipeline.defs.failures import spoken_failures
from ecw_pipeline.defs.figures import seconds_since
from ecw_pipeline.defs.labels import tags_of
from ecw_pipeline.defs.partitions import DAYS, ONE_RUN, exports_of_run
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.errors import EcwError, raise_first
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import LandedCounts, land_type

OTHER_TYPES = dg.AssetKey(["raw", "other_types"])
NOTHING_LOST = "nothing_lost"


def raw_assets(resource_types: Sequence[str]) -> list[dg.AssetsDefinition]:
    """An asset per type; what a server sends beyond them lands with `raw/other_types`."""
    known = [_raw_asset(name) for name in resource_types]
    return [*known, _other_types(frozenset(resource_types))]


def _raw_asset(resource_type: str) -> dg.AssetsDefinition:
    key = dg.AssetKey(["raw", resource_type])

    text = f"{resource_type} as received."
    return _landing_asset(key, text, lambda name: name == resource_type, tags_of(resource_type))


def _other_types(known: frozenset[str]) -> dg.AssetsDefinition:
    text = "Every type that no table is made from, as received."
    return _landing_asset(OTHER_TYPES, text, lambda name: name not in known, {})


def _landing_asset(
    key: dg.AssetKey,
    description: str,
    is_wanted: Callable[[str], bool],
    tags: Mapping[str, str],
) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        deps=[export_manifest],
        check_specs=[_check_of(key)],
        description=description,
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
        group_name="raw",
        tags=tags,
        kinds={"ndjson"},
    )
    def raw(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        opened = lake.open()
        began = opened.clock.now()
        with spoken_failures(context):
            counts = _land(opened, context, is_wanted)
        yield _result(key, counts, seconds_since(opened, began))

    return raw


def _check_of(key: dg.AssetKey) -> dg.AssetCheckSpec:
    words = "Lines received are all landed or in quarantine, and as many as the manifest says."
    return dg.AssetCheckSpec(NOTHING_LOST, asset=key, description=words)


def _land(
    lake: Lake, context: dg.AssetExecutionContext, is_wanted: Callable[[str], bool]
) -> list[LandedCounts]:
    """Land the wanted types of the run's exports; one that fails does not stop the others."""
    landed: list[LandedCounts] = []
    errors: list[EcwError] = []
    for export in exports_of_run(context, lake):
        for resource_type in _types_of(lake, export):
            if is_wanted(resource_type):
                try:
                    landed.append(land_type(lake, export, resource_type))
                except EcwError as error:
                    errors.append(error)
    raise_first(errors)
    return landed


def _types_of(lake: Lake, export: Export) -> list[str]:
    return [one.resource_type for one in lake.ledger.types(export.export_id)]


def _result(
    key: dg.AssetKey, counts: list[LandedCounts], seconds: float
) -> dg.MaterializeResult[None]:
    received = sum(count.lines_received for count in counts)
    landed = sum(count.lines_landed for count in counts)
    quarantined = sum(count.lines_quarantined for count in counts)
    differing = [count for count in counts if count.differs_from_manifest]
    check = dg.AssetCheckResult(
        check_name=NOTHING_LOST,
        asset_key=key,
        passed=received == landed + quarantined and not differing,
        severity=dg.AssetCheckSeverity.ERROR
        if any(count.lines_missing for count in differing)
        else dg.AssetCheckSeverity.WARN,
        metadata={
            f"{count.resource_type} in {count.export_id}": (
                f"manifest says {count.manifest_count}, received {count.lines_received}"
            )
            for count in differing
        },
    )
    metadata = {
        "lines_received": received,
        "lines_landed": landed,
        "lines_quarantined": quarantined,
        "size_bytes": sum(count.size_bytes for count in counts),
        "seconds": seconds,
    }
    return dg.MaterializeResult(metadata=metadata, check_results=[check])
