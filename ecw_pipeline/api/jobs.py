"""Exports as the API's jobs: asked for, told of, cancelled. No web framework here."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from ecw_pipeline.api.shapes import (
    BulkExportBody,
    Capabilities,
    EnhancedSyncBody,
    Job,
    Progress,
    SyncResult,
    instant,
)
from ecw_pipeline.errors import ConfigurationError, ProtocolError
from ecw_pipeline.fhir.resource_types import ENHANCED_TYPES, STANDARD_TYPES
from ecw_pipeline.fhir_client.providers import Connection, Window
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.settings import ExportLevel
from ecw_pipeline.stages import exports
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline.stages.sync import ask_for_types, bring_home

BASE = "/api/ehr/eclinicalworks"
JOBS_URL = f"{BASE}/bulk-export"
_LEVELS: dict[str, ExportLevel] = {"Patient": "patient", "Group": "group", "System": "system"}


class UnknownError(ConfigurationError):
    """There is no such connection, export or file."""


def known_connection(lake: Lake, connection_id: str) -> Connection:
    """A connection by its id.

    Raises:
        UnknownError: there is none.
    """
    known = [one.connection_id for one in lake.settings.connections()]
    if connection_id not in known:
        raise UnknownError("there is no such connection", f"one of: {', '.join(known)}")
    return lake.connection(connection_id)


def known_export(lake: Lake, export_id: str) -> Export:
    """An export by its id.

    Raises:
        UnknownError: there is none.
    """
    try:
        return lake.ledger.export(export_id)
    except KeyError:
        raise UnknownError("there is no such export", f"list them: GET {JOBS_URL}") from None


def ask(lake: Lake, body: BulkExportBody) -> Job:
    """Ask for an export; one that is open and brings the same is returned instead.

    Raises:
        ExportUnderWayError: one is under way that brings less.
        EcwError: the server cannot be reached, or refuses.
    """
    connection = _at_level(known_connection(lake, body.connectionId), body)
    since = instant(body.since)
    wish = Wish(since is None, since, tuple(dict.fromkeys(body.resourceTypes)))
    asked = exports.start_exports(lake, connection, [_today(lake)], wish)
    if asked[-1].state == "failed":
        raise ProtocolError(asked[-1].error, "ecw doctor says which link is broken")
    return job_of(lake, asked[-1])


def _at_level(connection: Connection, body: BulkExportBody) -> Connection:
    level = _LEVELS[body.exportType] if body.exportType else connection.level
    if body.groupId and level != "group":
        raise ConfigurationError("groupId goes with exportType Group", 'say exportType: "Group"')
    if level != "group":
        return replace(connection, level=level, group_id="")
    group_id = body.groupId or connection.group_id
    if not group_id:
        raise ConfigurationError("groupId is missing", "name the Group to export")
    return replace(connection, level=level, group_id=group_id)


def _today(lake: Lake) -> str:
    return lake.clock.now().date().isoformat()


def cancel(lake: Lake, export_id: str) -> Job:
    """End an export that is under way.

    Raises:
        UnknownError: there is none of that id.
        NotUnderWayError: it has ended.
    """
    known_export(lake, export_id)
    return job_of(lake, exports.cancel_export(lake, export_id))


def look_after(lake: Lake, export_id: str) -> Job:
    """How far an export is; the server is asked where the time for that has come."""
    export = known_export(lake, export_id)
    if export.is_open:
        export = exports.advance_export(lake, export_id)
    return job_of(lake, export)


def job_of(lake: Lake, export: Export) -> Job:
    """An export as the ledger has it."""
    types = lake.ledger.types(export.export_id)
    files = lake.ledger.files(export.export_id)
    failed = [one for one in types if one.state == "failed"]
    is_whole = export.state == "loaded"
    url = f"{JOBS_URL}/{export.export_id}"
    job = Job(
        id=export.export_id,
        connectionId=export.connection_id,
        status="COMPLETED" if is_whole else "IN_PROGRESS",
        statusUrl=url,
        startedAt=export.intended_at,
    )
    landed = [file for file in files if file.state == "landed"]
    if is_whole:
        outputs = [file for file in landed if file.kind == "output"]
        counts = Counter[str]()
        for file in outputs:
            counts[file.resource_type] += file.lines_landed
        job.completedAt = export.completed_at
        job.outputUrls = [f"{url}/files/{file.file_number}" for file in outputs]
        job.counts = dict(sorted(counts.items()))
    elif not export.is_open and (failed or not export.has_arrived):
        job.status = "FAILED"
        job.errorMessage = export.error or "; ".join(
            f"{one.resource_type}: {one.error}" for one in failed
        )
    else:
        said = export.progress or export.error
        job.progress = Progress(
            state=export.state, said=said, filesLanded=len(landed), files=len(files)
        )
    return job


def received_file(lake: Lake, export_id: str, number: int) -> Path:
    """Where an output file of a whole export lies, as received.

    Raises:
        UnknownError: the export has no such file, or it has not landed yet.
    """
    export = known_export(lake, export_id)
    for file in lake.ledger.files(export_id):
        if file.file_number == number and file.kind == "output" and file.state == "landed":
            return lake.folder.export(export.connection_id, export_id) / file.path
    raise UnknownError("there is no such file", "outputUrls of the export name them")


def sync(lake: Lake, body: EnhancedSyncBody) -> list[Export]:
    """Ask for what a sync needs; `finish` brings it home.

    Raises:
        ConfigurationError: no type is wanted, or none of them is to be had.
        EcwError: the server cannot be reached, or refuses.
    """
    connection = known_connection(lake, body.connectionId)
    wanted = tuple(
        dict.fromkeys(
            (
                *(STANDARD_TYPES if body.includeStandard else ()),
                *(ENHANCED_TYPES if body.includeEnhanced else ()),
                *body.resourceTypes,
            )
        )
    )
    if not wanted:
        raise ConfigurationError(
            "nothing is wanted", "say includeStandard, includeEnhanced or resourceTypes"
        )
    return ask_for_types(lake, connection, [_today(lake)], wanted, instant(body.since))


def finish(lake: Lake, asked: list[Export]) -> SyncResult:
    """Wait for a sync's exports, load them and count what they brought."""
    ids = [export.export_id for export in asked]
    bring_home(lake, ids)
    counts = Counter[str]()
    for export_id in ids:
        for file in lake.ledger.files(export_id):
            if file.kind == "output":
                counts[file.resource_type] += file.lines_landed
    enhanced = sum(counts[name] for name in ENHANCED_TYPES)
    total = counts.total()
    return SyncResult(
        standardResources=total - enhanced, enhancedResources=enhanced, total=total, jobs=ids
    )


def capabilities(lake: Lake, connection_id: str) -> Capabilities:
    """What a connection's server says it has, and how many requests we may send."""
    connection = known_connection(lake, connection_id)
    with lake.client(connection_id) as client:
        found = client.capabilities()
        readable = [name for name in found.offered_types if client.may_read(name)]
    return Capabilities(
        connectionId=connection_id,
        bulkExport=found.has_export,
        diagnosticReports="DiagnosticReport" in readable,
        carePlans="CarePlan" in readable,
        encounters="Encounter" in readable,
        communications="Communication" in readable,
        tasks="Task" in readable,
        rateLimit=_in_words(connection.windows[0]) if connection.windows else "",
        rateLimits=[_in_words(window) for window in connection.windows],
        resourceTypes=readable,
    )


def _in_words(window: Window) -> str:
    names = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
    span = names.get(window.seconds, f"{window.seconds} seconds")
    return f"{window.limit} requests/{span}"
