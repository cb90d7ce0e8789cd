"""A folder of NDJSON as a source of exports: lines go out as they are in the files.

Days passing changes a few lines of the copy that is served, never the files.
"""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, BinaryIO, cast

from ecw_pipeline.errors import BadDataError, ConfigurationError
from ecw_pipeline.fhir.instants import format_instant, parse_instant
from ecw_pipeline.files import machine_errors
from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline.sandbox.json_text import from_line, to_line
from ecw_pipeline.sandbox.simulated_time import instant_in_day
from ecw_pipeline.sandbox.source import Entry, Selection

_FILE_NAME = re.compile(r"^([A-Z][A-Za-z]{0,63})(?:\.\d+)?\.ndjson(?:\.gz)?$")
_CHANGING_TYPES = ("Observation", "Condition")
_DELETED_A_DAY, _CHANGED_A_DAY, _ADDED_A_DAY = 2, 2, 1
# What a change does beside meta: the status a resource of that type takes.
_NEW_STATUS: dict[str, dict[str, Any]] = {
    "Observation": {"status": "amended"},
    "Condition": {
        "clinicalStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    "code": "resolved",
                }
            ]
        }
    },
}


@dataclass(frozen=True)
class _Change:
    """What a day did to one source line; no ``line`` means it is gone."""

    day: int
    at: datetime
    resource_id: str
    line: bytes | None


class DataFolder:
    """A `Source` over files. Keeps only line counts and the changes of skipped days."""

    groups = ("all-patients",)

    def __init__(self, config: SandboxConfig) -> None:
        if config.data is None:
            raise ConfigurationError("no data folder was given", "name one with --data")
        self._config = config
        self._files = _files_by_type(config.data)
        self._counts = {name: sum(1 for _ in _lines(f)) for name, f in self._files.items()}
        self._changes: dict[str, dict[int, list[_Change]]] = {name: {} for name in self._files}
        self._added: dict[str, list[_Change]] = {name: [] for name in self._files}
        self._day = 0
        self._lock = threading.Lock()
        self.resource_types = tuple(sorted(self._files))

    @property
    def day(self) -> int:
        return self._day

    def entries(self, selection: Selection) -> Iterator[Entry]:
        """File by file, line by line; added lines come last in their type."""
        for name in sorted(selection.resource_types & self._files.keys()):
            changes = self._changes[name]
            for number, line in enumerate(_lines(self._files[name])):
                seen = _latest(changes.get(number, ()), selection.day)
                yield from self._entry(name, seen, line, selection)
            for change in self._added[name]:
                if change.day <= selection.day:
                    yield from self._entry(name, change, b"", selection)

    def expected_entries(self, selection: Selection) -> int:
        return max(1, sum(self._counts.get(name, 0) for name in selection.resource_types))

    def find(self, resource_type: str, resource_id: str) -> bytes | None:
        selection = Selection(self.day, frozenset({resource_type}))
        needle = resource_id.encode()
        for _, _, line in self.entries(selection):
            if line and needle in line and json.loads(line).get("id") == resource_id:
                return line
        return None

    def advance(self, days: int) -> dict[str, Any]:
        """Delete, change and add a few resources a day; the reply names them all."""
        ids: dict[str, dict[str, list[str]]] = {"new": {}, "changed": {}, "deleted": {}}
        with self._lock:
            for _ in range(days):
                for name in _CHANGING_TYPES:
                    if name in self._files:
                        self._change_type(name, self._day + 1, ids)
                self._day += 1
        counts = {kind: {n: len(i) for n, i in of.items()} for kind, of in ids.items()}
        return {**counts, "ids": ids}

    def _entry(
        self, name: str, change: _Change | None, line: bytes, selection: Selection
    ) -> Iterator[Entry]:
        since = selection.since
        if change is None:
            if since is None or _is_later(line, since):
                yield Entry(name, "", line)
        elif (change.line is not None) if since is None else (change.at > since):
            yield Entry(name, change.resource_id, change.line)

    def _change_type(self, name: str, day: int, ids: dict[str, dict[str, list[str]]]) -> None:
        random = Random(f"{self._config.seed}:{day}:{name}")
        at = instant_in_day(self._config.started_at, day, random)
        untouched = [n for n in range(self._counts[name]) if n not in self._changes[name]]
        wanted = min(len(untouched), _DELETED_A_DAY + _CHANGED_A_DAY + _ADDED_A_DAY)
        chosen = random.sample(untouched, wanted)
        lines = dict(self._pick(name, set(chosen)))
        for position, number in enumerate(chosen):
            resource = from_line(lines[number])
            kind = _kind_of_change(position)
            change = _apply(kind, name, resource, day, at)
            if kind == "new":
                self._added[name].append(change)
            else:
                self._changes[name].setdefault(number, []).append(change)
            ids[kind].setdefault(name, []).append(change.resource_id)

    def _pick(self, name: str, numbers: set[int]) -> Iterator[tuple[int, bytes]]:
        for number, line in enumerate(_lines(self._files[name])):
            if number in numbers:
                yield number, line


def _kind_of_change(position: int) -> str:
    if position < _DELETED_A_DAY:
        return "deleted"
    return "changed" if position < _DELETED_A_DAY + _CHANGED_A_DAY else "new"


def _apply(kind: str, name: str, resource: dict[str, Any], day: int, at: datetime) -> _Change:
    if kind == "deleted":
        return _Change(day, at, resource["id"], None)
    meta = resource.get("meta", {})
    if kind == "new":
        resource["id"] = f"{resource['id'][:50]}-copy{day}"
        version = 1
    else:
        resource.update(_NEW_STATUS[name])
        text = str(meta.get("versionId", "1"))
        version = int(text) + 1 if text.isdecimal() else 2
    resource["meta"] = {**meta, "versionId": str(version), "lastUpdated": format_instant(at)}
    return _Change(day, at, resource["id"], to_line(resource))


def _latest(changes: list[_Change] | tuple[()], day: int) -> _Change | None:
    until = [change for change in changes if change.day <= day]
    return until[-1] if until else None


def _is_later(line: bytes, since: datetime) -> bool:
    """Whether a line was updated after ``since``; one that does not say is taken to be."""
    try:
        return parse_instant(json.loads(line)["meta"]["lastUpdated"]) > since
    except (ValueError, KeyError, TypeError, BadDataError):
        return True


def _files_by_type(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder", "name a folder of .ndjson files")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := _FILE_NAME.match(path.name):
            found.setdefault(match[1], []).append(path)
    if not found:
        raise ConfigurationError(
            f"{folder} holds no Type.ndjson or Type.ndjson.gz", "name a folder of such files"
        )
    return found


def _lines(paths: list[Path]) -> Iterator[bytes]:
    """Every line of the files, with a newline at its end also where the file has none."""
    for path in paths:
        with machine_errors(path), _open(path) as stream:
            for line in stream:
                yield line if line.endswith(b"\n") else line + b"\n"


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
