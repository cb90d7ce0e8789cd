"""The doctor as an asset check: which link to a server is broken, seen in the UI."""

import dagster as dg

from ecw_pipeline.defs.arrival import EXPORT_REQUEST
from ecw_pipeline.defs.failures import failure
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.doctor import Finding, examine
from ecw_pipeline.errors import EcwError

NAME = "connections_answer"
_HEADS = ("connection", "link", "status", "what was found", "next step")
CONNECTIONS_ANSWER = dg.AssetCheckKey(EXPORT_REQUEST, NAME)


@dg.asset_check(
    asset=EXPORT_REQUEST,
    name=NAME,
    description="Every link to each server holds, from its name to the kick-off: `ecw doctor`.",
)
def connections_answer(lake: LakeResource) -> dg.AssetCheckResult:
    """Examine every connection; costs each about ten requests of its budget."""
    opened = lake.open()
    try:
        wanted = opened.settings.connections()
        found = [one for settings in wanted for one in examine(opened, settings)]
    except EcwError as error:
        raise failure(error) from None
    return dg.AssetCheckResult(
        passed=all(one.status != "failed" for one in found),
        metadata={"links": dg.MetadataValue.md(_table(found))},
    )


def _table(found: list[Finding]) -> str:
    lines = [f"| {' | '.join(_HEADS)} |", "| --- " * len(_HEADS) + "|"]
    for one in found:
        cells = (one.connection_id, one.link, one.status, one.said, one.next_step)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)
