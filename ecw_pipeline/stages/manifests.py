"""The manifest of an export: kept as received, doubted, and its files planned."""

from ecw_pipeline.bulk_export.messages import ExportRequest, Manifest, ManifestFile, parse_manifest
from ecw_pipeline.bulk_export.protocol import Completed
from ecw_pipeline.files import read_json, write_json
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake


def request_of(export: Export) -> ExportRequest:
    """What an export was asked for by."""
    return ExportRequest(
        export.level,  # type: ignore[arg-type]
        export.group_id,
        export.resource_types,
        export.since,
        export.restriction,
    )


def keep_manifest(lake: Lake, export_id: str, completed: Completed) -> None:
    """Keep the manifest as received, then plan its files.

    One that answers another request, or a group that nobody knows, would let us believe that
    there is nothing new.
    """
    export = lake.ledger.export(export_id)
    folder = lake.folder.export(export.connection_id, export_id)
    write_json(folder / "manifest.json", dict(completed.document))
    manifest = completed.manifest
    if not request_of(export).is_answered_by(completed.document):
        reason = "the server gave us the manifest of an export of other types or another time"
        lake.ledger.mark_state(export_id, "failed", reason)
        return
    if not manifest.files and (reason := _why_not_empty(export)):
        lake.ledger.mark_state(export_id, "failed", reason)
        return
    lake.ledger.mark_completed(
        export_id,
        manifest.transaction_time,
        manifest.requires_access_token,
        _planned_files(manifest),
    )


def announced_files(lake: Lake, export: Export) -> tuple[ManifestFile, ...]:
    """The files of an export as its manifest announced them, by their numbers in the ledger."""
    folder = lake.folder.export(export.connection_id, export.export_id)
    return parse_manifest(read_json(folder / "manifest.json"), export.status_url).files


def _why_not_empty(export: Export) -> str:
    """Why an export that brings no files cannot be right; empty where it can."""
    brings_patients = "Patient" in (export.resource_types or ("Patient",))
    if export.since is not None or export.restriction or not brings_patients:
        return ""
    if export.level == "group":
        return f"the export of Group {export.group_id} is empty: check ECW_GROUP_ID"
    return "the export is empty, without even a patient: check what this client may read"


def _planned_files(manifest: Manifest) -> list[dict[str, object]]:
    return [
        {
            "kind": file.kind,
            "resource_type": file.resource_type,
            "url": file.url,
            "manifest_count": file.count,
        }
        for file in manifest.files
    ]
