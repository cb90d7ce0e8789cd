"""The asset checks that failed when they were judged last, read from Dagster's own records.

Without Dagster itself: importing it takes longer than all else that `ecw status` does.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecw_pipeline.errors import MachineError

# Source: Dagster 1.13, table `asset_check_executions` of the event log's index.
_LATEST = """
SELECT evaluation_event FROM asset_check_executions
WHERE execution_status = 'FAILED' AND id IN (
    SELECT max(id) FROM asset_check_executions
    WHERE execution_status IN ('SUCCEEDED', 'FAILED') GROUP BY asset_key, check_name)
ORDER BY asset_key, check_name
"""


@dataclass(frozen=True)
class FailingCheck:
    """A check of an asset, what it found, and when. ``severity`` is ERROR or WARN."""

    asset: str
    check: str
    severity: str
    found: str
    judged_at: str

    @property
    def in_words(self) -> str:
        """For one line of a terminal."""
        found = f": {self.found}" if self.found else ""
        return f"{self.asset} {self.check}{found} ({self.judged_at})"


def failing_checks(storage: Path) -> list[FailingCheck]:
    """Those in Dagster's storage folder; none where it keeps its records elsewhere.

    Raises:
        MachineError: the records cannot be read, as when Dagster is being upgraded.
    """
    index = storage / "history" / "runs" / "index.db"
    if not index.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{index.as_uri()}?mode=ro", uri=True)) as records:
            return [_check(event) for (event,) in records.execute(_LATEST)]
    except sqlite3.Error as error:
        raise MachineError(
            f"Dagster's records in {index} do not tell which checks fail: {error}",
            "see the checks in its UI: ecw dev",
        ) from error


def _check(event: str) -> FailingCheck:
    entry = json.loads(event)
    said = entry["dagster_event"]["event_specific_data"]
    judged_at = f"{datetime.fromtimestamp(entry['timestamp'], UTC):%Y-%m-%d %H:%MZ}"
    severity = said["severity"]["__enum__"].removeprefix("AssetCheckSeverity.")
    asset = "/".join(said["asset_key"]["path"])
    found = ", ".join(_found(said["metadata"]))
    return FailingCheck(asset, said["check_name"], severity, found, judged_at)


def _found(metadata: dict[str, Any]) -> Iterator[str]:
    """The figures of a check; its longer texts are for the UI."""
    for name, entry in metadata.items():
        if isinstance(value := entry.get("value"), int | float):
            yield f"{name.replace('_', ' ')} {value:.4g}"
