"""Files by their content: ``ab/abcdef…``, each once, whole or absent."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ecw_pipeline.files import (
    CHUNK_BYTES,
    PRIVATE_FILE_MODE,
    machine_errors,
    part_path,
    private_folder,
    rename_whole,
)


class Store:
    """A folder of files that are named by their SHA-256."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Where a file is, or would be."""
        return self._root / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether a file is there; it is whole, or it would not have its name."""
        return self.path(sha256).exists()

    @contextmanager
    def arriving(self, name: str) -> Iterator["Arriving"]:
        """Open a file whose content is not known yet; what is not kept is thrown away.

        Two at a time may not have one ``name``. What a kill leaves of a file is written over by
        the next attempt.

        Raises:
            MachineError: the disk is full or the folder is not writable.
        """
        path = part_path(private_folder(self._root) / name)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
        with machine_errors(path):
            try:
                descriptor = os.open(path, flags, PRIVATE_FILE_MODE)
                with os.fdopen(descriptor, "w+b", buffering=CHUNK_BYTES) as stream:
                    yield Arriving(self, path, stream)
            finally:
                path.unlink(missing_ok=True)


class Arriving:
    """A file on its way into the store, counted and hashed as it comes."""

    def __init__(self, store: Store, path: Path, stream: BinaryIO) -> None:
        self._store, self._path, self._stream = store, path, stream
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self.size_bytes = 0

    @property
    def sha1(self) -> bytes:
        """Of what has come: FHIR's Attachment.hash is one."""
        return self._sha1.digest()

    def take(self, chunk: bytes) -> None:
        """Write and count what has come."""
        self._stream.write(chunk)
        self._sha256.update(chunk)
        self._sha1.update(chunk)
        self.size_bytes += len(chunk)

    def read(self) -> bytes:
        """All that has come."""
        self._stream.seek(0)
        return self._stream.read()

    def keep(self) -> str:
        """Sync the file and give it its name; returns its SHA-256."""
        sha256 = self._sha256.hexdigest()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        target = self._store.path(sha256)
        private_folder(target.parent)
        rename_whole(self._path, target)
        return sha256
