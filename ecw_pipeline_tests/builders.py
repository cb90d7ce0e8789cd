"""The smallest valid values: a test states only what it cares about."""

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.fhir_client.providers import Connection, connect
from ecw_pipeline.settings import ConnectionSettings

MONDAY = parse_instant("2024-01-01T12:00:00Z")
TUESDAY = parse_instant("2024-01-02T12:00:00Z")


def monday_clock() -> ManualClock:
    return ManualClock(at=MONDAY)


def present() -> ManualClock:
    """A clock that stands at the time the sandbox's own clock shows."""
    return ManualClock(datetime.now(UTC))


def connection(base_url: str = "http://127.0.0.1:1/fhir/r4", **changes: Any) -> Connection:
    """A connection with the sandbox's own client, and windows too wide to wait for."""
    values = {
        "connection_id": "practice",
        "provider": "smart-sandbox",
        "fhir_endpoint": base_url,
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "windows": ("1000000/1day",),
    }
    return connect(ConnectionSettings(**(values | changes)))


def patient(resource_id: str = "ann", **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": resource_id, **elements}


def line(resource: dict[str, Any]) -> bytes:
    """A resource as it stands in NDJSON, without the line's end."""
    return json.dumps(resource, separators=(",", ":")).encode()


def mode_of(path: Path) -> int:
    """A file's permission bits."""
    return path.stat().st_mode & 0o777


def names_below(folder: Path) -> list[str]:
    """Every path below a folder, relative to it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@contextmanager
def no_room_for_files() -> Iterator[None]:
    """Let no file of this process grow, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Take the right to write in ``folder`` away, from root too."""
    was_root = os.geteuid() == 0
    folder.chmod(0o500)
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        folder.chmod(0o700)
