"""Export jobs: started, written in a thread, polled, deleted."""

import itertools
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ecw_pipeline.errors import EcwError
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.sandbox.config import BASE_PATH, SandboxConfig
from ecw_pipeline.sandbox.export_writer import (
    ExportCancelledError,
    ExportFiles,
    ExportWriter,
    WrittenFile,
)
from ecw_pipeline.sandbox.json_text import from_line
from ecw_pipeline.sandbox.kickoff import KickOff
from ecw_pipeline.sandbox.outcomes import RefusalError
from ecw_pipeline.sandbox.searching import Narrowing
from ecw_pipeline.sandbox.simulated_time import SimulatedTime
from ecw_pipeline.sandbox.source import Entry, Selection, Source

LINKS_LIVE = timedelta(hours=24)
_PATIENCE_SECONDS = 5.0


@dataclass
class Job:
    """One export: what was asked, as of when, and how far it is."""

    id: str
    client_id: str
    request_url: str
    kick_off: KickOff
    selection: Selection
    transaction_at: datetime
    started: float  # monotonic seconds
    expected_entries: int
    writer: ExportWriter
    files: ExportFiles | None = None
    failure: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class ExportDesk:
    """All export jobs of one server."""

    def __init__(
        self,
        config: SandboxConfig,
        source: Source,
        simulated: SimulatedTime,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._source, self._simulated = config, source, simulated
        self._monotonic = monotonic
        self._folder: Path | None = None
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def start(self, kick_off: KickOff, client_id: str, request_url: str) -> Job:
        """Begin an export of the data as it is at this instant.

        Raises:
            RefusalError: 429, the same export of this client is still running.
        """
        with self._lock:
            self._refuse_a_second(kick_off, client_id)
            job = self._new_job(kick_off, client_id, request_url)
            self._jobs[job.id] = job
            job.thread = threading.Thread(target=self._write, args=(job,), daemon=True)
        job.thread.start()
        return job

    def find(self, job_id: str, client_id: str) -> Job:
        """The client's job.

        Raises:
            RefusalError: 404.
        """
        job = self._jobs.get(job_id)
        if job is None or job.client_id != client_id:
            raise RefusalError(404, "not-found", "there is no such export job")
        return job

    def is_running(self, job: Job) -> bool:
        """Whether the job is still to be polled."""
        if job.failure is not None:
            return False
        return job.files is None or self._elapsed(job) < self._config.export_seconds

    def percent(self, job: Job) -> int:
        """How far a running job is, 0 to 99."""
        of_time = self._elapsed(job) / max(self._config.export_seconds, 0.001)
        of_lines = job.writer.written.total() / max(job.expected_entries, 1)
        done = 1.0 if job.files is not None else of_lines
        return min(99, int(100 * min(of_time, done)))

    def file(self, job: Job, name: str) -> WrittenFile:
        """One of a finished job's files.

        Raises:
            RefusalError: 404.
        """
        files = job.files if job.files and not self.is_running(job) else ExportFiles([], [])
        for file in (*files.output, *files.deleted):
            if file.name == name:
                return file
        raise RefusalError(404, "not-found", "there is no such file")

    def delete(self, job: Job) -> None:
        """Stop the job if it runs, and remove its files."""
        job.cancelled.set()
        with self._lock:
            self._jobs.pop(job.id, None)
        self._remove_files(job)

    def running_jobs(self) -> list[Job]:
        """The jobs that are still to be polled."""
        return [job for job in self._jobs.values() if self.is_running(job)]

    def forget(self) -> None:
        """Lose every job, as servers that keep them in memory do at a restart."""
        for job in list(self._jobs.values()):
            self.delete(job)

    def close(self) -> None:
        """Stop every job and remove all files."""
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancelled.set()
        for job in jobs:
            if job.thread is not None:
                job.thread.join(_PATIENCE_SECONDS)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def manifest(self, job: Job, server_url: str) -> dict[str, Any]:
        """The reply to the last poll. Source: Bulk Data Access, "Response - Complete Status"."""
        files = job.files or ExportFiles([], [])
        base = f"{server_url}{BASE_PATH}/$export-file/{job.id}"

        def items(written: list[WrittenFile], resource_type: str | None) -> list[dict[str, Any]]:
            return [
                {
                    "type": resource_type or file.resource_type,
                    "url": f"{base}/{file.name}",
                    "count": file.count,
                }
                for file in written
            ]

        return {
            "transactionTime": format_instant(job.transaction_at),
            "request": job.request_url,
            "requiresAccessToken": True,
            "output": items(files.output, None),
            "deleted": items(files.deleted, "Bundle"),
            "error": [],
        }

    def _own_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ecw-sandbox-"))
        return self._folder

    def _elapsed(self, job: Job) -> float:
        return self._monotonic() - job.started

    def _refuse_a_second(self, kick_off: KickOff, client_id: str) -> None:
        for job in self._jobs.values():
            same = job.client_id == client_id and job.kick_off == kick_off
            if same and self.is_running(job):
                headers = {"Retry-After": str(self._config.retry_after_seconds)}
                text = "an identical export of this client is already running"
                raise RefusalError(429, "duplicate", text, headers)

    def _new_job(self, kick_off: KickOff, client_id: str, request_url: str) -> Job:
        day = self._source.day
        selection = Selection(
            day, frozenset(kick_off.resource_types), kick_off.group, kick_off.since
        )
        job_id = f"{next(self._numbers):04d}-{secrets.token_hex(8)}"
        return Job(
            id=job_id,
            client_id=client_id,
            request_url=request_url,
            kick_off=kick_off,
            selection=selection,
            transaction_at=self._simulated.now(day),
            started=self._monotonic(),
            expected_entries=self._source.expected_entries(selection),
            writer=ExportWriter(self._own_folder() / job_id, self._config.lines_per_file),
        )

    def _write(self, job: Job) -> None:
        entries = _narrowed(self._source.entries(job.selection), job.kick_off.narrowing)
        try:
            job.files = job.writer.write_all(entries, job.cancelled.is_set)
        except ExportCancelledError:
            self._remove_files(job)
        except EcwError as error:
            job.failure = str(error)
        except Exception as error:
            job.failure = f"the sandbox failed while writing ({type(error).__name__})"
            raise

    def _remove_files(self, job: Job) -> None:
        files = job.files or ExportFiles([], [])
        for file in (*files.output, *files.deleted):
            file.path.unlink(missing_ok=True)


def _narrowed(entries: Iterator[Entry], narrowing: Narrowing) -> Iterator[Entry]:
    """What was deleted has no content any more that a search could look at, and is all told."""
    if not narrowing:
        return entries
    return (e for e in entries if e.line is None or narrowing.keeps(from_line(e.line)))
