"""What the server itself says of an export: the issues in its outcome files, counted.

Their free text stays in the files: it may name patients.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ecw_pipeline.landing.ndjson import numbered_lines
from ecw_pipeline.ledger_rows import Export, ExportFile
from ecw_pipeline.stages.lake import Lake

SEVERE = ("error", "fatal")
_SEVERITIES = ("fatal", "error", "warning", "information")


def issues_by_severity(lake: Lake, export: Export) -> dict[str, int]:
    """How many issues of each severity the landed outcome files of an export hold, worst first."""
    counted: Counter[str] = Counter()
    for file in lake.ledger.files(export.export_id):
        if file.kind == "error" and file.state == "landed":
            counted.update(str(issue.get("severity")) for issue in issues(lake, export, file))
    return {severity: counted[severity] for severity in _SEVERITIES if counted[severity]}


def tells_of_errors(lake: Lake, export: Export, file: ExportFile) -> bool:
    """Whether a landed outcome file says that something of its export could not be written."""
    return any(issue.get("severity") in SEVERE for issue in issues(lake, export, file))


def is_in_doubt(lake: Lake, export: Export, resource_type: str) -> bool:
    """Whether a type without a file may have had news that the server failed to write.

    Which resources an error is about is in its free text, if anywhere.
    """
    files = lake.ledger.files(export.export_id)
    if any(one.kind == "output" and one.resource_type == resource_type for one in files):
        return False
    return any(
        one.kind == "error" and (one.state != "landed" or tells_of_errors(lake, export, one))
        for one in files
    )


def issues(lake: Lake, export: Export, file: ExportFile) -> Iterator[dict[str, Any]]:
    """The issues in one outcome file; a line that is no OperationOutcome is taken for the worst."""
    path = lake.folder.export(export.connection_id, export.export_id) / file.path
    for _, line in numbered_lines(path):
        try:
            outcome = json.loads(line)
        except ValueError:
            outcome = None
        if isinstance(outcome, dict) and outcome.get("resourceType") == "OperationOutcome":
            yield from (one for one in outcome.get("issue") or [] if isinstance(one, dict))
        else:
            yield {"severity": "error"}
