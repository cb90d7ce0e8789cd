"""A practice with documents: resources that hold or name them, and the Binaries they name."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from ecw_pipeline.clock import SystemClock
from ecw_pipeline.errors import EcwError
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.attachments import Attached, fetch_attachments
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.loading import load_exports
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline.stages.tables import Table
from ecw_pipeline_tests.stages.practice import DAY, Practice, practice, write_lines

TABLES = (
    "communication_payload",
    "diagnostic_report_presented_form",
    "document_reference_content",
    "media",
)
CARRIERS = "Communication,DiagnosticReport,DocumentReference,Media"
PAGE = b"<p>Seen <b>again</b> in spring.</p>"
ROW = "resource_id, state, text"


class DocumentLake(Lake):
    """A lake with the tables that list attachments, and no others."""

    @cached_property
    def tables(self) -> dict[str, Table]:
        return {name: super(DocumentLake, self).tables[name] for name in TABLES}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def sha1_of(content: bytes) -> str:
    return encoded(hashlib.sha1(content).digest())


def binary(resource_id: str, content: bytes = PAGE, content_type: str = "text/html") -> Any:
    return {
        "resourceType": "Binary",
        "id": resource_id,
        "contentType": content_type,
        "data": encoded(content),
    }


def document(resource_id: str, **attachment: Any) -> dict[str, Any]:
    """A DocumentReference with one attachment, of HTML where nothing is said."""
    return {
        "resourceType": "DocumentReference",
        "id": resource_id,
        "status": "current",
        "subject": {"reference": "Patient/ann"},
        "content": [{"attachment": {"contentType": "text/html"} | attachment}],
    }


class Office:
    """A practice whose documents are fetched."""

    def __init__(self, one: Practice, lines: Path) -> None:
        self.practice, self.lines = one, lines

    @property
    def lake(self) -> DocumentLake:
        return DocumentLake(Settings.from_environment(), self.practice.clock)

    def have(self, *resources: dict[str, Any]) -> None:
        """Let the server have these resources of their types, and no others of these types."""
        by_type: dict[str, list[Any]] = {}
        for one in resources:
            by_type.setdefault(one["resourceType"], []).append(one)
        for name, found in by_type.items():
            write_lines(self.lines, name, *found)

    def suffer(self, **faults: Any) -> None:
        self.practice.site.sandbox.faults.replace(faults)

    def pull(self, day: str = DAY, **options: Any) -> None:
        """Ask, wait, land and load."""
        assert self.practice.land(*self.practice.arrive(day, **options)) == {}
        load_exports(self.lake)

    def pull_everything(self) -> None:
        """Ask for everything anew, on the next day."""
        self.pull("2026-01-06", wish=Wish(is_full=True), ask_again=True)

    def attach(self, *, retry: bool = False) -> Attached:
        errors: list[EcwError] = []
        attached = fetch_attachments(self.lake, errors, retry=retry)
        assert errors == []
        return attached

    def requests(self) -> int:
        """How often the server was asked for a document."""
        return int(self.practice.site.stats()["by_kind"].get("attachment", 0))

    def rows(self, columns: str = ROW, rest: str = "") -> list[tuple[Any, ...]]:
        return self.practice.rows(f"SELECT {columns} FROM core.attachment {rest} ORDER BY ALL")

    def outcome(self) -> tuple[str, str]:
        """State and error of the only attachment."""
        ((state, error),) = self.rows("state, error")
        return state, error or ""

    def files(self) -> list[Path]:
        folder = self.lake.folder.attachments
        return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def office(folder: Path, *resources: dict[str, Any], types: str = CARRIERS) -> Iterator[Office]:
    """The practice, pulled once."""
    lines = folder / "lines"
    for name in (*CARRIERS.split(","), "Binary"):
        write_lines(lines, name)
    with practice(folder, data=lines) as one:
        one.set("ECW_RESOURCE_TYPES", types)
        one.set("ECLINICALWORKS_FHIR_ENDPOINT", one.site.sandbox.base_url)  # no proxy between
        made = Office(one, lines)
        made.have(*resources)
        made.pull()
        yield made


def attach_here() -> None:
    """Fetch what is missing, in a process that need not survive it."""
    errors: list[EcwError] = []
    fetch_attachments(DocumentLake(Settings.from_environment(), SystemClock()), errors)
