"""Writing an export's files: gzip NDJSON, split by lines, with what a manifest must say of them."""

import gzip
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ecw_pipeline.files import finished_file, private_folder
from ecw_pipeline.sandbox.json_text import to_line
from ecw_pipeline.sandbox.source import Entry

_DELETES_PER_BUNDLE = 50
_COMPRESSION_LEVEL = 1  # an export is written once and read once


class ExportCancelledError(Exception):
    """The client deleted the export while it was being written."""


@dataclass(frozen=True)
class WrittenFile:
    """A file of an export, whole and on disk."""

    name: str
    resource_type: str
    path: Path
    count: int
    plain_bytes: int
    gzip_bytes: int
    plain_sha256: str
    gzip_sha256: str


class _OpenFile:
    """A gzip file being written, hashed on both sides of the compression."""

    def __init__(self, path: Path, resource_type: str) -> None:
        self.path, self.resource_type = path, resource_type
        self.count = self.plain_bytes = 0
        self._hash = hashlib.sha256()
        self._finishing = finished_file(path)
        self._raw: BinaryIO = self._finishing.__enter__()
        self._gzip = gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, self._raw, mtime=0)

    def write(self, line: bytes, *, counts: bool = True) -> None:
        self._gzip.write(line)
        self._hash.update(line)
        self.plain_bytes += len(line)
        self.count += counts

    def finish(self) -> WrittenFile:
        self._gzip.close()
        self._finishing.__exit__(None, None, None)
        with self.path.open("rb") as stream:
            gzip_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return WrittenFile(
            name=self.path.name.removesuffix(".gz"),
            resource_type=self.resource_type,
            path=self.path,
            count=self.count,
            plain_bytes=self.plain_bytes,
            gzip_bytes=self.path.stat().st_size,
            plain_sha256=self._hash.hexdigest(),
            gzip_sha256=gzip_sha256,
        )

    def give_up(self, error: BaseException) -> None:
        try:
            self._finishing.__exit__(type(error), error, error.__traceback__)
        except BaseException as raised:  # noqa: BLE001 - it is the same error again
            if raised is not error:
                error.add_note(f"and closing {self.path.name} failed: {raised}")


class _TypeWriter:
    """The files of one resource type, each of at most ``lines_per_file`` lines."""

    def __init__(self, folder: Path, resource_type: str, lines_per_file: int) -> None:
        self._folder, self._type, self._limit = folder, resource_type, lines_per_file
        self.finished: list[WrittenFile] = []
        self.open: _OpenFile | None = None

    def write(self, line: bytes) -> None:
        if self.open is not None and self.open.count >= self._limit:
            self.close()
        if self.open is None:
            name = f"{self._type}.{len(self.finished):03d}.ndjson.gz"
            self.open = _OpenFile(self._folder / name, self._type)
        self.open.write(line, counts=bool(line.strip()))

    def close(self) -> None:
        if self.open is not None:
            self.finished.append(self.open.finish())
            self.open = None


@dataclass
class ExportFiles:
    """What an export consists of."""

    output: list[WrittenFile]
    deleted: list[WrittenFile]


class ExportWriter:
    """Sorts entries into files as they come; holds no resource."""

    def __init__(self, folder: Path, lines_per_file: int) -> None:
        self._folder = private_folder(folder)
        self._lines_per_file = lines_per_file
        self._writers: dict[str, _TypeWriter] = {}
        self._gone: list[str] = []
        self._deleted = _TypeWriter(self._folder, "deleted", lines_per_file)
        self.written: Counter[str] = Counter()

    def write_all(self, entries: Iterable[Entry], stop: Callable[[], bool]) -> ExportFiles:
        """Write every entry; leaves nothing behind when it fails or ``stop`` says so.

        Raises:
            MachineError: the disk is full.
        """
        try:
            for entry in entries:
                if stop():
                    raise ExportCancelledError
                self._write(entry)
            return self._finish()
        except BaseException as error:
            for writer in (*self._writers.values(), self._deleted):
                if writer.open is not None:
                    writer.open.give_up(error)
            raise

    def _write(self, entry: Entry) -> None:
        self.written[entry.resource_type] += 1
        if entry.line is None:
            self._delete(f"{entry.resource_type}/{entry.resource_id}")
            return
        writer = self._writers.get(entry.resource_type)
        if writer is None:
            writer = _TypeWriter(self._folder, entry.resource_type, self._lines_per_file)
            self._writers[entry.resource_type] = writer
        writer.write(entry.line)

    def _delete(self, url: str) -> None:
        self._gone.append(url)
        if len(self._gone) >= _DELETES_PER_BUNDLE:
            self._write_bundle()

    def _write_bundle(self) -> None:
        entries = [{"request": {"method": "DELETE", "url": url}} for url in self._gone]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        self._deleted.write(to_line(bundle))
        self._gone = []

    def _finish(self) -> ExportFiles:
        if self._gone:
            self._write_bundle()
        for writer in (*self._writers.values(), self._deleted):
            writer.close()
        output = [file for name in sorted(self._writers) for file in self._writers[name].finished]
        return ExportFiles(output, self._deleted.finished)
