"""A tiny practice with its truth in memory, behind a real Bulk Data server on loopback.

It does what the specification allows and what servers do: files may be written after the
transaction time, deletions may go unsaid, and single exports may be odd (`Habits`).
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from ecw_pipeline.fhir.instants import format_instant, parse_instant
from ecw_pipeline_tests.warehouse.versions import SUBSETTED

START = parse_instant("2026-01-01T00:00:00Z")
TYPES = ("Patient", "Task")
Oddity = Literal["garbled", "nameless", "partial", "twice", "overlooked"]
Key = tuple[str, str]
# What stands for an object of a line that cannot be loaded, but says whose it is.
GARBLED = "garbled"
# A line of which nobody can tell whose it is.
NAMELESS = "{"


@dataclass(frozen=True)
class Version:
    """A resource as it is from a tick on; not every server says when it changed."""

    key: Key
    text: str
    tick: int
    says_when: bool

    @property
    def last_updated(self) -> str | None:
        return format_instant(instant(self.tick)) if self.says_when else None

    def line(self, *, is_partial: bool = False) -> str:
        resource_type, resource_id = self.key
        meta: dict[str, Any] = {"lastUpdated": self.last_updated} if self.says_when else {}
        if is_partial:
            meta["tag"] = [SUBSETTED]
        elements: dict[str, dict[str, Any]] = {
            "Patient": {"name": [{"family": self.text, "given": list(self.text)}]},
            "Task": {"status": "requested", "intent": "order", "description": self.text},
        }
        head = {"resourceType": resource_type, "id": resource_id, "meta": meta}
        return json.dumps(head | elements[resource_type])

    def garbled(self) -> str:
        """A line that cannot be loaded, but says whose it is."""
        resource_type, resource_id = self.key
        return json.dumps({"resourceType": resource_type, "id": resource_id, "meta": GARBLED})


def instant(tick: int) -> datetime:
    return START + timedelta(seconds=tick)


@dataclass(frozen=True)
class Habits:
    """What is odd about one export."""

    writes_late: bool = False
    complains: bool = False
    oddities: Mapping[Key, Oddity] = field(default_factory=dict)


@dataclass
class Job:
    """One export, as it was asked for; what is in its files is decided when they are written."""

    number: int
    types: tuple[str, ...]
    since: datetime | None
    tick: int
    habits: Habits
    lines: dict[str, list[str]] = field(default_factory=dict)
    deleted: list[Key] = field(default_factory=list)
    is_written: bool = False

    @property
    def at(self) -> datetime:
        return instant(self.tick)

    def covers(self, tick: int) -> bool:
        return self.since is None or instant(tick) >= self.since


@dataclass
class Practice:
    """The truth, its clock, and the exports that were asked for."""

    url: str
    tick: int = 0
    live: dict[Key, Version] = field(default_factory=dict)
    former: dict[Key, Version] = field(default_factory=dict)
    graves: list[tuple[Key, int]] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    habits: Habits = Habits()
    refused_types: frozenset[str] = frozenset()

    def put(self, key: Key, text: str, *, says_when: bool, ticks: int) -> None:
        """Create, change or make again; perhaps in the same tick as what was before."""
        self.tick += ticks
        if key in self.live:
            self.former[key] = self.live[key]
        self.live[key] = Version(key, text, self.tick, says_when)

    def remove(self, key: Key, *, announced: bool) -> None:
        self.tick += 1
        if self.live.pop(key, None) and announced:
            self.graves.append((key, self.tick))

    def start(self, types: Sequence[str], since: datetime | None) -> Job:
        """Take an export on."""
        self.tick += 1
        job = Job(len(self.jobs), tuple(types), since, self.tick, self.habits)
        self._fill(job)
        self.jobs.append(job)
        return job

    def finish(self, job: Job) -> None:
        """Write the files; with what has changed meanwhile, if they are written late."""
        if job.habits.writes_late and not job.is_written:
            self._fill(job)
        job.is_written = True

    def _fill(self, job: Job) -> None:
        """Deletions are told of all types, and of what has been made again since, too."""
        changed = [version for version in self.live.values() if job.covers(version.tick)]
        for name in job.types:
            ours = [version for version in changed if version.key[0] == name]
            job.lines[name] = [line for version in ours for line in self._lines(job, version)]
        graves = self.graves if job.since else []
        job.deleted = [key for key, tick in graves if job.covers(tick)]

    def _lines(self, job: Job, version: Version) -> list[str]:
        line, former = version.line(), self.former.get(version.key)
        match job.habits.oddities.get(version.key):
            case "garbled":
                return [version.garbled()]
            case "nameless":
                return [NAMELESS]
            case "partial":
                return [version.line(is_partial=True)]
            case "twice":
                return [line, former.line() if former else line]
            case "overlooked":
                return []
        return [line]


@contextmanager
def model_server() -> Iterator[tuple[str, dict[str, Practice]]]:
    """Serve practices, each below a name of its own, for as long as the block lasts."""
    practices: dict[str, Practice] = {}

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            _, name, rest = self.path.split("/", 2)
            status, headers, body = _reply(practices[name], urlsplit(rest))
            self.send_response(status)
            for header, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", practices
        finally:
            server.shutdown()
            thread.join()


Reply = tuple[int, dict[str, str], bytes]


def _reply(practice: Practice, asked: SplitResult) -> Reply:
    match asked.path.split("/"):
        case [".well-known", "smart-configuration"]:
            return _json({"token_endpoint": f"{practice.url}/token"})
        case ["token"]:
            return _json({"access_token": "t", "token_type": "bearer", "expires_in": 10**8})
        case ["metadata"]:
            return _json({"rest": [{"resource": [{"type": name} for name in TYPES]}]})
        case ["$export"]:
            return _kick_off(practice, parse_qs(asked.query))
        case ["jobs", number]:
            job = practice.jobs[int(number)]
            practice.finish(job)
            return _json(_manifest(f"{practice.url}/files/{number}", job))
        case ["files", _, name] if name in practice.refused_types:
            return 403, {}, b""
        case ["files", number, name]:
            return 200, {}, _body(practice.jobs[int(number)], name)
    return 404, {}, b""


def _kick_off(practice: Practice, query: Mapping[str, list[str]]) -> Reply:
    since = [parse_instant(text) for text in query.get("_since", ())]
    job = practice.start(query["_type"][0].split(","), since[0] if since else None)
    return 202, {"content-location": f"{practice.url}/jobs/{job.number}"}, b""


def _json(document: dict[str, Any]) -> Reply:
    return 200, {"content-type": "application/json"}, json.dumps(document).encode()


def _manifest(url: str, job: Job) -> dict[str, Any]:
    """What the job has brought; a type without resources has no file."""
    output = [
        {"type": name, "url": f"{url}/{name}", "count": len(lines)}
        for name, lines in job.lines.items()
        if lines
    ]
    errors = [{"type": "OperationOutcome", "url": f"{url}/errors"}]
    return {
        "transactionTime": format_instant(job.at),
        "requiresAccessToken": True,
        "output": output,
        "deleted": [{"type": "Bundle", "url": f"{url}/deleted"}] if job.deleted else [],
        "error": errors if job.habits.complains else [],
    }


def _body(job: Job, name: str) -> bytes:
    if name == "errors":
        outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}
        return json.dumps(outcome).encode() + b"\n"
    if name == "deleted":
        entries = [{"request": {"method": "DELETE", "url": "/".join(key)}} for key in job.deleted]
        return json.dumps({"resourceType": "Bundle", "entry": entries}).encode() + b"\n"
    return "".join(line + "\n" for line in job.lines[name]).encode()
