"""The log of an export in the community's format, ``log.ndjson`` beside its files.

Events and their details are those of the SMART bulk data client's log, so that tools that read
its logs read ours. URLs stand without their queries, which may be signed or name patients; bodies
and headers of replies are left out.

Source: github.com/smart-on-fhir/bulk-data-client, wiki, "Bulk Data Export Log Items".
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from ecw_pipeline.bulk_export.messages import Manifest
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.files import PRIVATE_FILE_MODE, machine_errors, private_folder

EventId = Literal[
    "kickoff",
    "status_progress",
    "status_complete",
    "status_page_complete",
    "manifest_complete",
    "status_error",
    "download_request",
    "download_complete",
    "download_error",
    "export_complete",
]


def write_event(
    folder: Path, export_id: str, at: datetime, event: EventId, **detail: object
) -> None:
    """Add one event to the log of the export that lies in ``folder``.

    One write for one line: those of several processes do not mix.
    """
    entry = {
        "exportId": export_id,
        "timestamp": format_instant(at),
        "eventId": event,
        "eventDetail": detail,
    }
    path = private_folder(folder) / "log.ndjson"
    with machine_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE_MODE)
        try:
            os.write(descriptor, json.dumps(entry).encode() + b"\n")
        finally:
            os.close(descriptor)


def bare_url(url: str) -> str:
    """A URL without query, fragment and credentials."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def manifest_counts(manifest: Manifest) -> dict[str, Any]:
    """The detail of ``manifest_complete``."""
    kinds = [file.kind for file in manifest.files]
    return {
        "transactionTime": format_instant(manifest.transaction_time),
        "totalOutputFileCount": kinds.count("output"),
        "totalDeletedFileCount": kinds.count("deleted"),
        "totalErrorFileCount": kinds.count("error"),
    }
