"""What happens to an export, told to its ``log.ndjson``; decides nothing."""

import re
from typing import Any

from ecw_pipeline.bulk_export.event_log import EventId, bare_url, manifest_counts, write_event
from ecw_pipeline.bulk_export.messages import ExportRequest
from ecw_pipeline.bulk_export.protocol import (
    Completed,
    ExportState,
    Failed,
    InProgress,
    Lost,
    Refused,
    Unsupported,
)
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.ledger_rows import Export, ExportFile
from ecw_pipeline.stages.lake import Lake

_STATUS = re.compile(r"HTTP (\d{3})")


def _tell(lake: Lake, export: Export, event: EventId, **detail: object) -> None:
    folder = lake.folder.export(export.connection_id, export.export_id)
    write_event(folder, export.export_id, lake.clock.now(), event, **detail)


def tell_kick_off(lake: Lake, export: Export, request: ExportRequest, state: ExportState) -> None:
    """A kick-off was answered."""
    refusal = state.reason if isinstance(state, Refused | Unsupported | Failed) else None
    base_url = lake.connection(export.connection_id).base_url
    is_search = request.level == "search"
    _tell(
        lake,
        export,
        "kickoff",
        exportUrl=bare_url(f"{base_url}/{'' if is_search else request.path()}"),
        errorCode=_status_in(refusal),
        errorBody=refusal,
        softwareName=None,
        softwareVersion=None,
        softwareReleaseDate=None,
        fhirVersion=None,
        requestParameters=request.query(),
    )


def _status_in(reason: str | None) -> int | None:
    found = _STATUS.search(reason or "")
    return int(found[1]) if found else None


def tell_poll(lake: Lake, export: Export, state: ExportState) -> None:
    """A poll was answered."""
    match state:
        case InProgress():
            said: dict[str, Any] = {"xProgress": state.progress, "retryAfter": state.wait_seconds}
            _tell(lake, export, "status_progress", body=None, **said)
        case Completed(manifest=manifest):
            at = format_instant(manifest.transaction_time)
            _tell(lake, export, "status_complete", transactionTime=at)
            _tell(lake, export, "manifest_complete", **manifest_counts(manifest))
        case Failed() | Lost():
            code = _status_in(state.reason)
            _tell(lake, export, "status_error", body=None, code=code, message=state.reason)


def tell_request(lake: Lake, export: Export, file: ExportFile) -> None:
    """A file is about to be fetched."""
    item = {"itemType": file.kind, "resourceType": file.resource_type}
    _tell(lake, export, "download_request", fileUrl=bare_url(file.url), **item)


def tell_complete(lake: Lake, export: Export, file: ExportFile) -> None:
    """A file is there, whole and counted."""
    counts = {"resourceCount": file.lines_received, "fileSize": file.size_bytes}
    _tell(lake, export, "download_complete", fileUrl=bare_url(file.url), **counts)


def tell_error(lake: Lake, export: Export, file: ExportFile, message: str) -> None:
    """A file cannot be had."""
    problem = {"body": None, "code": _status_in(message), "message": message}
    _tell(lake, export, "download_error", fileUrl=bare_url(file.url), **problem)


def tell_export_complete(lake: Lake, export: Export) -> None:
    """Every file of an export is there."""
    files = [f for f in lake.ledger.files(export.export_id) if f.state == "landed"]
    _tell(
        lake,
        export,
        "export_complete",
        files=len(files),
        resources=sum(file.lines_received for file in files),
        bytes=sum(file.size_bytes for file in files),
        attachments=0,
        duration=int((lake.clock.now() - export.intended_at).total_seconds() * 1000),
    )
