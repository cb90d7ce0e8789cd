"""From a manifest to screened lines: download what is missing, screen, count."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.errors import BadDataError, EcwError, MachineError, ProtocolError
from ecw_pipeline.fhir.resource_types import is_type_name
from ecw_pipeline.files import sha256_of
from ecw_pipeline.landing.landing import (
    Deletion,
    LandingPaths,
    LandingReport,
    read_deletions,
    screen_file,
    type_of_lines,
)
from ecw_pipeline.landing.ndjson import ends_in_mid_line, numbered_lines
from ecw_pipeline.landing.quality import Sampling, quality_of
from ecw_pipeline.landing.quarantine import unreadable_before
from ecw_pipeline.landing.unreadable import unreadable_lines
from ecw_pipeline.ledger_rows import Export, ExportFile
from ecw_pipeline.stages.events import (
    tell_complete,
    tell_error,
    tell_export_complete,
)
from ecw_pipeline.stages.fetching import fetch, fetched_ahead
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.outcomes import SEVERE, issues_by_severity
from ecw_pipeline.warehouse.version_files import VERSION_COLUMNS, version_file

FileReport = Callable[[ExportFile], None]


def _silent(_file: ExportFile) -> None:
    """Nobody is watching."""


@dataclass(frozen=True)
class LandedCounts:
    """What one type of one export brought."""

    export_id: str
    resource_type: str
    files: int = 0
    size_bytes: int = 0
    lines_received: int = 0
    lines_landed: int = 0
    lines_quarantined: int = 0
    manifest_count: int | None = None
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def lines_missing(self) -> int:
        """How many lines fewer than the manifest announced."""
        return max((self.manifest_count or 0) - self.lines_received, 0)

    @property
    def differs_from_manifest(self) -> bool:
        """Whether the server counted other than we did."""
        return self.manifest_count is not None and self.manifest_count != self.lines_received


def land_type(
    lake: Lake, export: Export, resource_type: str, report: FileReport = _silent
) -> LandedCounts:
    """Download and screen every file of one type; what is whole already is not fetched again.

    Raises:
        EcwError: a file cannot be had; the type is marked failed and can be landed later.
    """
    try:
        with lake.only_one(f"land-{resource_type}"):
            _require_output(lake, export)
            _land_files(lake, export, "output", resource_type, report)
    except EcwError as error:
        with suppress(MachineError):  # a disk too full to write it down: the error says it all
            lake.ledger.mark_type(export.export_id, resource_type, "failed", error.message)
        raise
    before = _state_of(lake, export, resource_type)
    if before != "loaded":
        lake.ledger.mark_type(export.export_id, resource_type, "landed")
        if lake.ledger.export(export.export_id).state == "landed":
            tell_export_complete(lake, export)
            if before != "landed":
                _delete_at_server(lake, export)
    return counts_of(lake, export, resource_type)


def _delete_at_server(lake: Lake, export: Export) -> None:
    """Let the server forget an export of which we have every file, if that is wanted.

    It is a courtesy: a server that cannot be reached now forgets it by itself later.

    Source: Bulk Data Access, "Bulk Data Delete Request".
    """
    if not (lake.settings.delete_exports and export.status_url):
        return
    if all(file.state == "landed" for file in lake.ledger.files(export.export_id)):
        with suppress(EcwError), lake.client(export.connection_id) as client:
            client.cancel(export.status_url)


def _require_output(lake: Lake, export: Export) -> None:
    """Refuse to take errors alone for the news that there is nothing new.

    Raises:
        ProtocolError: the server wrote errors instead of files.
    """
    if any(file.kind == "output" for file in lake.ledger.files(export.export_id)):
        return
    land_side_files(lake, export)
    found = issues_by_severity(lake, export)
    if any(severity in SEVERE for severity in found):
        counts = ", ".join(f"{count} {severity}" for severity, count in found.items())
        raise ProtocolError(
            f"export {export.export_id} brought no resources, only issues: {counts}",
            f"read them in {lake.folder.export(export.connection_id, export.export_id)}/outcome,"
            " then ask the provider's support",
        )


def land_side_files(lake: Lake, export: Export) -> None:
    """Fetch the deleted and the outcome files of an export.

    Raises:
        EcwError: a file cannot be had.
    """
    land_deletions(lake, export)
    land_outcomes(lake, export)


def land_deletions(lake: Lake, export: Export) -> None:
    """Fetch what an export says is deleted: without it, it is not whole.

    Raises:
        EcwError: a file cannot be had.
    """
    _land_kind(lake, export, "deleted")


def land_outcomes(lake: Lake, export: Export) -> None:
    """Fetch what the server says of an export: the resources are good without it.

    Raises:
        EcwError: a file cannot be had; types without a file are in doubt, see `outcomes.py`.
    """
    _land_kind(lake, export, "error")


def _land_kind(lake: Lake, export: Export, kind: str) -> None:
    with lake.only_one("land-side-files"):
        _land_files(lake, export, kind, None, _silent)


def _state_of(lake: Lake, export: Export, resource_type: str) -> str:
    states = {t.resource_type: t.state for t in lake.ledger.types(export.export_id)}
    return states.get(resource_type, "pending")


def _land_files(
    lake: Lake, export: Export, kind: str, resource_type: str | None, report: FileReport
) -> None:
    missing = [
        file
        for file in lake.ledger.files(export.export_id)
        if file.kind == kind
        and resource_type in (None, file.resource_type)
        and file.state != "landed"
    ]
    if not missing:
        return
    with (
        lake.client(export.connection_id) as client,
        fetched_ahead(lake, client, export, missing) as arrivals,
    ):
        for file, arrival in zip(missing, arrivals, strict=True):
            try:
                _land_file(lake, client, export, arrival())
            except EcwError as error:
                tell_error(lake, export, file, error.message)
                raise
            tell_complete(lake, export, _known(lake, export, file))
            report(file)


def _land_file(lake: Lake, client: BulkExportClient, export: Export, file: ExportFile) -> None:
    """Screen a file; one that arrived damaged is fetched once more before the type fails."""
    try:
        _screen(lake, export, file)
    except BadDataError:
        _throw_away(lake, export, file)
        again = fetch(lake, client, export, _known(lake, export, file))
        try:
            _screen(lake, export, again)
        except BadDataError:
            _throw_away(lake, export, again)
            raise


def _throw_away(lake: Lake, export: Export, file: ExportFile) -> None:
    lake.ledger.mark_file(export.export_id, file.file_number, state="planned")
    paths_of(lake, export, file).received.unlink(missing_ok=True)


def _known(lake: Lake, export: Export, file: ExportFile) -> ExportFile:
    """The file as the ledger has it now."""
    return lake.ledger.file(export.export_id, file.file_number)


def _screen(lake: Lake, export: Export, file: ExportFile) -> None:
    paths = paths_of(lake, export, file)
    if file.kind == "error":
        lake.ledger.mark_file(export.export_id, file.file_number, state="landed")
        return
    if file.kind == "deleted":
        _, report = read_deletions(paths)
    else:
        file = _with_its_own_type(lake, export, paths, file)
        report = _screen_for_loading(paths, file.resource_type)
        how = Sampling.of(lake.settings)
        quality_of(paths.screened, file.resource_type, report.lines_landed, how)
    lake.ledger.mark_file(
        export.export_id,
        file.file_number,
        state="landed",
        lines_received=report.lines_received,
        lines_landed=report.lines_landed,
        lines_quarantined=report.lines_quarantined,
    )


def _with_its_own_type(
    lake: Lake, export: Export, paths: LandingPaths, file: ExportFile
) -> ExportFile:
    """The file as of the type of its lines, where the manifest says none or another.

    Only where none of its lines is of the type announced: single strays go to quarantine.
    """
    actual = type_of_lines(paths.received)
    if actual == file.resource_type or not is_type_name(actual):
        return file
    if file.resource_type and screen_file(paths, file.resource_type).lines_landed:
        return file
    if file.resource_type and actual == "Binary":
        # HAPI, before 6.2, and servers that take no Accept header for an answer.
        raise BadDataError(
            f"{paths.source_file} is a Binary, not the resources of {file.resource_type}: the"
            " server wraps its files",
            "ask the provider's support to send files as NDJSON (Accept: application/fhir+ndjson)",
        )
    lake.ledger.add_type(file.export_id, actual)
    lake.ledger.mark_file(file.export_id, file.file_number, resource_type=actual)
    _land_anew_if_loaded(lake, export, actual)
    return replace(file, resource_type=actual)


def _screen_for_loading(paths: LandingPaths, resource_type: str) -> LandingReport:
    """Screen a file; what cannot even be read as versions goes to quarantine too."""
    report = screen_file(paths, resource_type)
    if not report.lines_landed and _holds_no_object(paths):
        raise BadDataError(
            f"{paths.source_file} is no NDJSON: none of its lines begins like a JSON object",
            "run again: it is fetched anew; if it stays, look at the file (a page to sign in at, an"
            " encoding nobody asked for) and ask the provider's support",
        )
    if report.reasons.get("not_json") and ends_in_mid_line(paths.received):
        raise BadDataError(
            f"{paths.source_file} is cut short: its last line is not whole",
            "run again: it is fetched anew",
        )
    try:
        version_file(paths.screened)
    except duckdb.Error:
        refused = unreadable_lines(paths.screened, VERSION_COLUMNS)
        report = screen_file(paths, resource_type, refused)
        version_file(paths.screened)
    return report


def _holds_no_object(paths: LandingPaths) -> bool:
    """Whether a file has lines, and none that could be a resource."""
    first_bytes = {line[:1] for _, line in numbered_lines(paths.received)}
    return bool(first_bytes) and b"{" not in first_bytes


def paths_of(lake: Lake, export: Export, file: ExportFile) -> LandingPaths:
    """Where a file of an export lies."""
    return LandingPaths(lake.folder.export(export.connection_id, export.export_id), file.path)


def screened_files(lake: Lake, export: Export, resource_type: str) -> list[tuple[ExportFile, Path]]:
    """The screened files of a type; one that was thrown away is made again."""
    found = []
    for file in lake.ledger.files(export.export_id):
        is_ours = file.kind == "output" and file.resource_type == resource_type
        if is_ours and file.state == "landed":
            paths = paths_of(lake, export, file)
            if not paths.screened.exists():
                require_as_received(lake, export, file)
                screen_file(paths, resource_type, unreadable_before(paths.quarantine))
            found.append((file, paths.screened))
    return found


def require_as_received(lake: Lake, export: Export, file: ExportFile) -> None:
    """Refuse to read a received file that somebody changed or took away.

    Raises:
        BadDataError: the file is not what was received.
    """
    received = paths_of(lake, export, file).received
    next_step = "restore it from a backup: tables are made from received files alone"
    if not received.exists():
        raise BadDataError(f"{received} is gone", next_step)
    if sha256_of(received) != file.sha256:
        what = f"{received} is no longer what was received (its SHA-256 differs)"
        raise BadDataError(what, next_step)


def quarantine_lines(
    lake: Lake, export: Export, file: ExportFile, refused_lines: frozenset[int]
) -> None:
    """Move lines that a table could not read from the screened file to quarantine.

    Those that another table could not read stay there. What was loaded with them is to be loaded
    again without them.
    """
    paths = paths_of(lake, export, file)
    refused = refused_lines | unreadable_before(paths.quarantine)
    report = screen_file(paths, file.resource_type, refused)
    lake.ledger.mark_file(
        export.export_id,
        file.file_number,
        lines_landed=report.lines_landed,
        lines_quarantined=report.lines_quarantined,
    )
    _land_anew_if_loaded(lake, export, file.resource_type)


def _land_anew_if_loaded(lake: Lake, export: Export, resource_type: str) -> None:
    """What was loaded of a type is no longer what has landed of it."""
    if _state_of(lake, export, resource_type) == "loaded":
        lake.ledger.mark_type(export.export_id, resource_type, "landed")


def deletions_of(lake: Lake, export: Export) -> list[tuple[str, Deletion]]:
    """Every resource an export says is gone, with the file that says so."""
    return [
        (file.path, deletion)
        for file in lake.ledger.files(export.export_id)
        if file.kind == "deleted" and file.state == "landed"
        for deletion in read_deletions(paths_of(lake, export, file))[0]
    ]


def deletions_refused(lake: Lake, export_ids: Iterable[str]) -> int:
    """How many lines of the deleted files of exports could not be read, or not wholly."""
    files = (file for export_id in export_ids for file in lake.ledger.files(export_id))
    return sum(file.lines_quarantined for file in files if file.kind == "deleted")


def counts_of(lake: Lake, export: Export, resource_type: str) -> LandedCounts:
    """What the ledger counted of one type of an export."""
    files = [
        file
        for file in lake.ledger.files(export.export_id)
        if file.kind == "output" and file.resource_type == resource_type
    ]
    claims = [file.manifest_count for file in files]
    return LandedCounts(
        export_id=export.export_id,
        resource_type=resource_type,
        files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
        lines_received=sum(file.lines_received for file in files),
        lines_landed=sum(file.lines_landed for file in files),
        lines_quarantined=sum(file.lines_quarantined for file in files),
        manifest_count=None if None in claims else sum(c for c in claims if c is not None),
    )
