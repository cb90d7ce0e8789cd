"""What materialisations tell of exports: figures that Dagster draws over time, and a summary."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import dagster as dg

from ecw_pipeline.fhir_client.budget import Budget
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.exports import describe
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.outcomes import issues_by_severity

Figures: TypeAlias = dict[str, dg.MetadataValue]


def figures_of_asked(lake: Lake, asked: Sequence[Export]) -> Figures:
    """How many exports were asked for, of what, and what the budgets of all connections are at."""
    told: Figures = {"exports": dg.MetadataValue.int(len(asked)), **_requests(lake)}
    return told | {"summary": dg.MetadataValue.md("\n".join(_exports_listed(asked)))}


def figures_of_arrived(lake: Lake, arrived: Sequence[Export]) -> Figures:
    """How long the server took, how often it was asked again, and what it has to give."""
    files = [file for one in arrived for file in lake.ledger.files(one.export_id)]
    lines = [*_exports_listed(arrived), "", *_types_table(lake, arrived)]
    return {
        "exports": dg.MetadataValue.int(len(arrived)),
        "export_minutes": dg.MetadataValue.float(max(map(_minutes, arrived), default=0.0)),
        "retries": dg.MetadataValue.int(sum(max(one.kick_offs - 1, 0) for one in arrived)),
        "files": dg.MetadataValue.int(len(files)),
        **_requests(lake),
        "summary": dg.MetadataValue.md("\n".join(lines)),
    }


def seconds_since(lake: Lake, began: datetime) -> float:
    """How long something took, to be drawn."""
    return round((lake.clock.now() - began).total_seconds(), 3)


def _minutes(export: Export) -> float:
    """From kick-off to completion; 0 of an export that was not asked for by a kick-off."""
    if export.requested_at is None or export.completed_at is None:
        return 0.0
    return round((export.completed_at - export.requested_at).total_seconds() / 60, 2)


def _requests(lake: Lake) -> Figures:
    """Requests of the longest window, a day for eClinicalWorks, over all connections."""
    uses = [
        Budget(lake.folder.budget(one.connection_id), one.windows, lake.clock).longest()
        for one in lake.usable_connections([])
    ]
    return {
        "requests_used": dg.MetadataValue.int(sum(used for used, _ in uses)),
        "requests_left": dg.MetadataValue.int(sum(limit - used for used, limit in uses)),
    }


def _exports_listed(found: Sequence[Export]) -> Iterator[str]:
    for export in found:
        told = describe(export)
        yield (
            f"- **{told['export_id']}** of {told['connection_id']}, since {told['since']},"
            f" {told['state']}: {told['types']}"
        )


def _types_table(lake: Lake, found: Sequence[Export]) -> Iterator[str]:
    """Files and announced resources of each type, and what the server itself says went wrong."""
    files: Counter[str] = Counter()
    announced: dict[str, int] = defaultdict(int)
    issues: Counter[str] = Counter()
    for export in found:
        issues.update(issues_by_severity(lake, export))
        for file in lake.ledger.files(export.export_id):
            name = file.resource_type if file.kind == "output" else f"({file.kind})"
            files[name] += 1
            announced[name] += file.manifest_count or 0
    yield "| type | files | resources announced |"
    yield "| --- | --- | --- |"
    for name in sorted(files):
        yield f"| {name} | {files[name]} | {announced[name] or 'not said'} |"
    yield ""
    yield f"The server's own issues: {_in_words(issues)}."


def _in_words(issues: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of severity {name}" for name, count in issues.items()) or "none"
