"""What an export brought less of than it announced, in words."""

from collections.abc import Iterator

from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake


def shortfalls(lake: Lake, export: Export) -> Iterator[str]:
    """Files with fewer lines than the manifest says, and deletions that could not be read."""
    unreadable = 0
    for file in lake.ledger.files(export.export_id):
        if file.state != "landed":
            continue
        if file.kind == "deleted":
            unreadable += file.lines_quarantined
        elif file.kind == "output" and file.lines_received < (file.manifest_count or 0):
            came = f"{file.lines_received} of {file.manifest_count} lines came"
            yield f"{file.resource_type}: {came}"
    if unreadable:
        yield f"lines of deletions refused: {unreadable}"
