"""Fresh links for the files of an export whose first ones have expired."""

from urllib.parse import urlsplit

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.bulk_export.messages import ManifestFile
from ecw_pipeline.bulk_export.protocol import Completed, InProgress
from ecw_pipeline.errors import EcwError, ProtocolError, TemporaryError
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.manifests import announced_files


def refresh_links(lake: Lake, client: BulkExportClient, export: Export) -> None:
    """Read the manifest again, because its links have expired.

    Raises:
        TemporaryError: the server has no time to say.
        ProtocolError: the server no longer has the export.
    """
    state = client.poll(InProgress(export.status_url, "", 0.0))
    if isinstance(state, InProgress):
        raise TemporaryError(
            f"the links to the files of export {export.export_id} have expired, and the server"
            " gives no fresh ones now",
            "run again in some minutes: work continues where it stopped",
        )
    if not isinstance(state, Completed):
        raise _gone(export)
    # The ledger knows files by the types of their lines; the manifest, as received, may not.
    planned = announced_files(lake, export)
    fresh = state.manifest.files
    if sorted(map(_sort_of, planned)) != sorted(map(_sort_of, fresh)):
        raise _gone(export)
    # The server may list its files in another order now: like goes with like, and path with path.
    numbers = sorted(range(len(planned)), key=lambda number: _place_of(planned[number]))
    for number, again in zip(numbers, sorted(fresh, key=_place_of), strict=True):
        lake.ledger.mark_file(export.export_id, number, url=again.url)


def _sort_of(file: ManifestFile) -> tuple[str, str, int]:
    return file.kind, file.resource_type, -1 if file.count is None else file.count


def _place_of(file: ManifestFile) -> tuple[tuple[str, str, int], str]:
    return _sort_of(file), urlsplit(file.url).path


def _gone(export: Export) -> EcwError:
    return ProtocolError(
        f"the files of export {export.export_id} are no longer at the server",
        "materialise export_request with a new day, or run `ecw export --full`",
    )
