"""Whether an export holds every resource of a type: only then is what it lacks absent.

Law 5: absence is concluded only from a complete unfiltered full export, and an unreadable line
proves no absence.
"""

import json

from ecw_pipeline.ledger_rows import Export, ExportFile
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import counts_of, paths_of
from ecw_pipeline.stages.outcomes import tells_of_errors


def is_complete(lake: Lake, export: Export, resource_type: str) -> bool:
    """Whether a type that has landed is there whole, as of the export's transaction time.

    Not when it was asked for changes or for some resources only, when lines are missing or cannot
    be told whose they are, or when the server reports errors of this export. Pages of a search
    shift while resources come and go: what they lack may be there.
    """
    types = {one.resource_type for one in lake.ledger.types(export.export_id)}
    is_news = export.since is not None or export.level == "search"
    if is_news or export.restriction or resource_type not in types:
        return False
    if counts_of(lake, export, resource_type).lines_missing:
        return False
    files = lake.ledger.files(export.export_id)
    return not any(
        _hides_resources(lake, export, file)
        for file in files
        if file.kind == "error" or file.resource_type == resource_type
    )


def _hides_resources(lake: Lake, export: Export, file: ExportFile) -> bool:
    """Whether a file tells of resources that exist, but not of which."""
    if file.kind == "error":
        return file.state == "landed" and tells_of_errors(lake, export, file)
    if not file.lines_quarantined:
        return False
    with paths_of(lake, export, file).quarantine.open(encoding="utf-8") as lines:
        return any(json.loads(line)["resource_id"] is None for line in lines)
