"""The files of an export: fetched a few at a time, handed over in the manifest's order.

How fast requests leave is the budget's to say; several at a time keep a distant server busy.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.bulk_export.download import Downloaded, ExpiredLinkError, RefusedLinkError
from ecw_pipeline.bulk_export.limits import Limits
from ecw_pipeline.errors import EcwError, TemporaryError
from ecw_pipeline.landing.ndjson import line_batches
from ecw_pipeline.ledger_rows import Export, ExportFile
from ecw_pipeline.stages.events import tell_request
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.links import refresh_links

FILES_AT_A_TIME = 4
FOLDERS = {"deleted": "deleted", "error": "outcome"}

Arrival = Callable[[], ExportFile]


@contextmanager
def fetched_ahead(
    lake: Lake, client: BulkExportClient, export: Export, files: Sequence[ExportFile]
) -> Iterator[Iterator[Arrival]]:
    """What each file turns out to be, in their order; to ask is to wait for it, or get its error.

    After an error of ours what is under way is let finish, so that it need not be fetched again;
    nothing more is begun.
    """
    pool = ThreadPoolExecutor(FILES_AT_A_TIME, thread_name_prefix="fetch")
    try:
        yield _arrivals(pool, lambda file: fetch(lake, client, export, file), files)
    except EcwError:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _arrivals(
    pool: ThreadPoolExecutor,
    fetch_one: Callable[[ExportFile], ExportFile],
    files: Sequence[ExportFile],
) -> Iterator[Arrival]:
    following = iter(files)
    under_way: deque[Future[ExportFile]] = deque(
        pool.submit(fetch_one, file) for file in islice(following, FILES_AT_A_TIME)
    )
    while under_way:
        yield under_way.popleft().result
        under_way.extend(pool.submit(fetch_one, file) for file in islice(following, 1))


def fetch(lake: Lake, client: BulkExportClient, export: Export, file: ExportFile) -> ExportFile:
    """The file, downloaded if it is not there yet.

    Raises:
        EcwError: it cannot be had.
    """
    if file.state != "planned":
        return file
    folder = lake.folder.export(export.connection_id, export.export_id)
    stem = folder / (FOLDERS.get(file.kind) or file.resource_type) / f"{file.file_number:05d}"
    whole = client.kept(stem) or _download(lake, client, export, file, stem)
    lake.ledger.mark_file(
        export.export_id,
        file.file_number,
        state="downloaded",
        path=str(whole.path.relative_to(folder)),
        sha256=whole.sha256,
        size_bytes=whole.size_bytes,
    )
    return lake.ledger.file(export.export_id, file.file_number)


def _download(
    lake: Lake, client: BulkExportClient, export: Export, file: ExportFile, stem: Path
) -> Downloaded:
    """The file; once more if it may have been cut between two lines.

    Where the server does not say how long a file is, a connection that was lost looks like its end.
    """
    found = _download_once(lake, client, export, file, stem)
    if found.is_measured or _count_lines(found.path) >= (file.manifest_count or 0):
        return found
    found.path.unlink()
    return _download_once(lake, client, export, file, stem)


def _count_lines(path: Path) -> int:
    return sum(len(batch.lines) for batch in line_batches(path))


def _download_once(
    lake: Lake, client: BulkExportClient, export: Export, file: ExportFile, stem: Path
) -> Downloaded:
    settings = lake.settings
    limits = Limits(settings.max_file_megabytes << 20, settings.max_unpacked_ratio)
    tell_request(lake, export, file)
    if export.level == "search":
        return client.find(file.url, stem, limits, export.restriction.patient_ids)
    try:
        return client.download(file.url, stem, limits, with_token=export.requires_token)
    except (ExpiredLinkError, RefusedLinkError):
        url = _fresh_url(lake, client, export, file)
    except TemporaryError:
        url = file.url  # what broke off may be resumed, also where the job is forgotten by now
    return client.download(url, stem, limits, with_token=export.requires_token)


def _fresh_url(lake: Lake, client: BulkExportClient, export: Export, file: ExportFile) -> str:
    """Where the file is now: links expire all together, so that one of them asks for all."""
    with lake.only_one("links"):
        if lake.ledger.file(export.export_id, file.file_number).url == file.url:
            refresh_links(lake, client, export)
    return lake.ledger.file(export.export_id, file.file_number).url
