"""What `ops` is told of how resources are made and how far they keep FHIR's rules."""

from collections import Counter
from typing import Any

import duckdb

from ecw_pipeline.landing.quality import Quality, Sampling, quality_of
from ecw_pipeline.ledger_rows import Export, ExportFile
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import screened_files
from ecw_pipeline.warehouse import bookkeeping
from ecw_pipeline.warehouse.versions import Incoming


def tell_of_quality(
    lake: Lake, connection: duckdb.DuckDBPyConnection, incoming: Incoming, export: Export
) -> None:
    """Say what was found in the files of a type, in place of what an earlier load of it said."""
    how = Sampling.of(lake.settings)
    found = [
        (file, quality_of(path, incoming.resource_type, file.lines_landed, how))
        for file, path in screened_files(lake, export, incoming.resource_type)
    ]
    judged = [quality for _, quality in found if quality.is_validated]
    bookkeeping.replace_quality(
        connection,
        incoming,
        lines_sampled=sum(quality.lines_sampled for _, quality in found),
        lines_invalid=sum(q.lines_invalid for q in judged) if judged else None,
        profile=_profile(found),
        findings=_findings(found),
    )


def _profile(found: list[tuple[ExportFile, Quality]]) -> list[dict[str, Any]]:
    lines: Counter[tuple[str, str]] = Counter()
    for _, quality in found:
        lines.update({(one.path, one.json_type): one.lines for one in quality.paths})
    return [
        {"path": path, "json_type": json_type, "lines_with": count}
        for (path, json_type), count in sorted(lines.items())
    ]


def _findings(found: list[tuple[ExportFile, Quality]]) -> list[dict[str, Any]]:
    """Each rule that is broken at a path, with the first place of all files."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for file, quality in found:
        for one in quality.broken:
            row = rows.setdefault(
                (one.path, one.rule),
                {
                    "path": one.path,
                    "rule": one.rule,
                    "findings": 0,
                    "source_file": file.path,
                    "source_line": one.first_line,
                },
            )
            row["findings"] += one.count
    return list(rows.values())
