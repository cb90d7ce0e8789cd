"""Fresh links for the files of an export whose first ones have expired."""

from urllib.parse import urlsplit

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.bulk_export.messages import ManifestFile
from ecw_pipeline.bulk_export.protocol import Completed, InProgress
from ecw_pipeline.errors import EcwError, ProtocolError
from ecw_pipeline.ledger_rows import Export, ExportFile
from ecw_pipeline.stages.lake import Lake


def refresh_links(lake: Lake, client: BulkExportClient, export: Export) -> None:
    """Read the manifest again, because its links have expired.

    Raises:
        EcwError: the server no longer has the export.
    """
    state = client.poll(InProgress(export.status_url, "", 0.0))
    if not isinstance(state, Completed):
        raise _gone(export)
    planned = lake.ledger.files(export.export_id)
    fresh = state.manifest.files
    if sorted(map(_sort_of, planned)) != sorted(map(_sort_of, fresh)):
        raise _gone(export)
    # The server may list its files in another order now: like goes with like, and path with path.
    pairs = zip(sorted(planned, key=_place_of), sorted(fresh, key=_place_of), strict=True)
    for file, again in pairs:
        lake.ledger.mark_file(export.export_id, file.file_number, url=again.url)


def _sort_of(file: ExportFile | ManifestFile) -> tuple[str, str, int]:
    count = file.manifest_count if isinstance(file, ExportFile) else file.count
    return file.kind, file.resource_type, -1 if count is None else count


def _place_of(file: ExportFile | ManifestFile) -> tuple[tuple[str, str, int], str]:
    return _sort_of(file), urlsplit(file.url).path


def _gone(export: Export) -> EcwError:
    return ProtocolError(
        f"the files of export {export.export_id} are no longer at the server",
        "materialise export_request with a new day, or run `ecw export --full`",
    )
