"""What assets are labelled with: tags, owners, where the dictionary tells of them, freshness."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import dagster as dg

from ecw_pipeline.stages.troubles import LATE_AFTER, MISSED_AFTER

FRESHNESS = dg.FreshnessPolicy.time_window(warn_window=LATE_AFTER, fail_window=MISSED_AFTER)
DICTIONARY = Path(__file__).parents[2] / "docs" / "tables.html"


def tags_of(resource_type: str) -> dict[str, str]:
    """So that a type's assets are found together: `tag:resource_type=Patient`."""
    return {"resource_type": resource_type} if resource_type else {}


def dictionary(name: str) -> dict[str, dg.MetadataValue]:
    """The place of a table or mart in the dictionary; nothing where only the package is there."""
    if not DICTIONARY.exists():
        return {}
    return {"dictionary": dg.MetadataValue.path(f"{DICTIONARY}#{name}")}


def owned(
    assets: Iterable[dg.AssetsDefinition], addresses: Iterable[str]
) -> Sequence[dg.AssetsDefinition]:
    """The assets with owners: whoever is told of failures by e-mail."""
    owners = [address for address in addresses if _can_own(address)]
    return dg.map_asset_specs(lambda one: one.replace_attributes(owners=owners), assets)


def _can_own(address: str) -> bool:
    """Whether Dagster takes it: mail goes to more addresses, root@localhost among them."""
    try:
        dg.AssetSpec("asset", owners=[address])
    except dg.DagsterInvalidDefinitionError:
        return False
    return True
