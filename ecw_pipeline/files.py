"""Files that are whole or absent, and readable by their owner only."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ecw_pipeline.errors import BadDataError, EcwError, MachineError

PRIVATE_FILE_MODE = 0o600
PRIVATE_FOLDER_MODE = 0o700
CHUNK_BYTES = 1 << 20


@contextmanager
def machine_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses at ``path`` into a `MachineError` that says so."""
    try:
        yield
    except OSError as error:
        raise machine_error(error, path) from error


def machine_error(error: OSError, path: Path) -> EcwError:
    """Say in words what the operating system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(
            f"no space left on the disk while writing {path}",
            "free some space and run the same command again: what was whole is kept",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MachineError(
            f"{path} cannot be written: {error.strerror}",
            "make the folder writable for this user, or set ECW_DATA to another one",
        )
    return MachineError(f"{path}: {error.strerror or error}", "see the system's message")


def private_folder(path: Path) -> Path:
    """Create ``path`` and its parents where they are missing, each 0700."""
    with machine_errors(path):
        missing = [path]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        for folder in reversed(missing):
            folder.mkdir(mode=PRIVATE_FOLDER_MODE, exist_ok=True)
    return path


def part_path(path: Path) -> Path:
    """Where a file is while it is not whole."""
    return path.with_name(path.name + ".part")


@contextmanager
def finished_file(path: Path) -> Iterator[BinaryIO]:
    """Open ``path`` for writing such that it appears under its name only when it is whole.

    The bytes are on the disk before the name is (write, fsync, rename, fsync of the folder).
    On an exception nothing is left behind.

    Raises:
        MachineError: the disk is full or the folder is not writable.
    """
    private_folder(path.parent)
    unfinished = part_path(path)
    with machine_errors(path):
        try:
            descriptor = os.open(
                unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE_MODE
            )
            with os.fdopen(descriptor, "wb", buffering=CHUNK_BYTES) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        rename_whole(unfinished, path)


def rename_whole(unfinished: Path, path: Path) -> None:
    """Give a file that is whole and synced its final name."""
    os.replace(unfinished, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, whole or not at all."""
    with finished_file(path) as stream:
        stream.write(json.dumps(value, indent=2, sort_keys=True).encode())


def read_json(path: Path, parse_float: Callable[[str], Any] = float) -> Any:
    """Read a JSON file; ``parse_float`` makes something of the text of a number with a point.

    Raises:
        BadDataError: the file is not JSON; the message says where.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_float=parse_float)
    except UnicodeDecodeError as error:
        raise BadDataError(f"{path} is not UTF-8 text", "save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise BadDataError(
            f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            "mend the file",
        ) from error
    except (RecursionError, ValueError) as error:
        raise BadDataError(
            f"{path} is JSON beyond measure: nested too deeply, or a number too long",
            "mend the file",
        ) from error


def sha256_of(path: Path) -> str:
    """The file's SHA-256, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
