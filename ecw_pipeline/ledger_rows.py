"""What the ledger knows, as values: exports, their types and files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.fhir.restriction import Restriction

ExportStage = Literal[
    "intended",
    "requested",
    "completed",
    "landed",
    "loaded",
    "failed",
    "cancelled",
    "uncertain",
    "pruned",
]
TypeStage = Literal["pending", "landed", "loaded", "failed"]
FileStage = Literal["planned", "downloaded", "landed"]
AttachmentStage = Literal[
    "planned",
    "fetched",
    "gone",
    "refused",
    "unwanted",
    "too_large",
    "wrong_type",
    "changed",
    "unreadable",
    "failed",
]

OPEN_STAGES: tuple[ExportStage, ...] = ("intended", "uncertain", "requested")
ARRIVED_STAGES: tuple[ExportStage, ...] = ("completed", "landed", "loaded")
# Nothing comes of these any more.
VOID_STAGES: tuple[ExportStage, ...] = ("failed", "cancelled", "pruned")


@dataclass(frozen=True)
class Export:
    """One `$export` run as the ledger knows it.

    ``is_partial``: it was asked for less than a connection is kept up to date with, and so answers
    none of the days that it is found by.
    """

    export_id: str
    connection_id: str
    level: str
    group_id: str
    resource_types: tuple[str, ...]
    since: datetime | None
    restriction: Restriction
    is_partial: bool
    state: ExportStage
    status_url: str
    progress: str
    progressed_at: datetime | None
    wait_seconds: float
    next_poll_at: datetime | None
    transaction_time: datetime | None
    requires_token: bool
    kick_offs: int
    intended_at: datetime
    requested_at: datetime | None
    completed_at: datetime | None
    error: str

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STAGES

    @property
    def is_void(self) -> bool:
        return self.state in VOID_STAGES

    @property
    def known_at(self) -> datetime:
        """The server's instant that its files are of; only an export that arrived has one."""
        if self.transaction_time is None:
            raise ValueError(f"export {self.export_id} has not arrived")
        return self.transaction_time

    @property
    def has_arrived(self) -> bool:
        return self.state in ARRIVED_STAGES


@dataclass(frozen=True)
class ExportType:
    """How far one resource type of an export has come."""

    export_id: str
    resource_type: str
    state: TypeStage
    error: str


@dataclass(frozen=True)
class ExportFile:
    """One file of an export; ``path`` is relative to the export's folder."""

    export_id: str
    file_number: int
    kind: str
    resource_type: str
    url: str
    manifest_count: int | None
    state: FileStage
    path: str
    sha256: str
    size_bytes: int
    lines_received: int
    lines_landed: int
    lines_quarantined: int


@dataclass(frozen=True)
class Attachment:
    """How far one attachment has come. Where it is from is in `core.attachment`, by its id.

    ``sha1`` and ``declared_bytes`` are what the resource says of it; ``size_bytes`` is of what
    came, or of what was too large to come. ``revision`` counts the changes of all attachments.
    """

    attachment_id: str
    connection_id: str
    sha1: str
    declared_bytes: int | None
    state: AttachmentStage
    sha256: str
    size_bytes: int
    content_type: str
    error: str
    settled_at: str
    revision: int


_INSTANTS = (
    "since",
    "progressed_at",
    "next_poll_at",
    "transaction_time",
    "intended_at",
    "requested_at",
    "completed_at",
)


def as_export(row: Mapping[str, Any]) -> Export:
    """An export from its row."""
    values = dict(row) | {
        "resource_types": tuple(json.loads(row["resource_types"])),
        "restriction": Restriction.from_json(row["restriction"]),
        "is_partial": bool(row["is_partial"]),
    }
    for name in _INSTANTS:
        values[name] = parse_instant(row[name]) if row[name] else None
    return Export(**values)
