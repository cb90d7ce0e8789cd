"""The check of whether exports arrive: told by the step that asks, and by the sensor that waits."""

from typing import Any

import dagster as dg

from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.troubles import Trouble, troubles

EXPORT_REQUEST = dg.AssetKey(["export_request"])
ARRIVES = "exports_arrive"
SPEC = dg.AssetCheckSpec(
    ARRIVES,
    asset=EXPORT_REQUEST,
    description="Exports arrive, or are on their way: none is stuck, none failed again and again,"
    " and none was missed for two days.",
)


def judge_arrival(lake: Lake) -> dg.AssetCheckResult:
    """Whether exports arrive, as of now."""
    return dg.AssetCheckResult(**_verdict(troubles(lake)))


def news_of_arrival(lake: Lake, known: str) -> tuple[str, list[dg.AssetCheckEvaluation]]:
    """What is wrong now, in words, and the check's new outcome if these differ from ``known``."""
    found = troubles(lake)
    words = "; ".join(trouble.words for trouble in found)
    news = [dg.AssetCheckEvaluation(**_verdict(found))] if words != known else []
    return words, news


def _verdict(found: list[Trouble]) -> dict[str, Any]:
    """Final troubles are errors; what may still come by itself is a warning."""
    is_final = any(trouble.is_final for trouble in found)
    return {
        "asset_key": EXPORT_REQUEST,
        "check_name": ARRIVES,
        "passed": not found,
        "severity": dg.AssetCheckSeverity.ERROR if is_final else dg.AssetCheckSeverity.WARN,
        "metadata": {f"trouble {n}": one.words for n, one in enumerate(found, start=1)}
        | {"next_step": "see `ecw status`; materialise export_request to ask again"},
    }
