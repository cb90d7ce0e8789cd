"""What the server saw, for tests that measure where it counts. No token is kept here."""

import threading
from collections import Counter
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class StartedExport:
    """An export as statistics list it."""

    id: str
    level: str
    group: str | None
    types: list[str]
    since: str | None


@dataclass
class _FileUse:
    count: int = 0
    bytes: int = 0


@dataclass
class _Tally:
    requests: int = 0
    refused_429: int = 0
    by_token: Counter[str] = field(default_factory=Counter)
    by_user_agent: Counter[str] = field(default_factory=Counter)
    by_process: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)
    exports: list[StartedExport] = field(default_factory=list)
    files: dict[str, _FileUse] = field(default_factory=dict)


class Statistics:
    """Counters that any thread may touch."""

    def __init__(self) -> None:
        self._tally = _Tally()
        self._lock = threading.Lock()

    def request(self, kind: str, token: str, user_agent: str, process: str) -> None:
        """Count a request at its arrival; ``token`` is an ordinal, never the token itself."""
        with self._lock:
            tally = self._tally
            tally.requests += 1
            tally.by_kind[kind] += 1
            tally.by_token[token] += 1
            tally.by_user_agent[user_agent] += 1
            tally.by_process[process] += 1

    def answered(self, status: int) -> None:
        """Count a reply."""
        with self._lock:
            self._tally.by_status[str(status)] += 1

    def throttled(self) -> None:
        """Count a request that the rate windows refused."""
        with self._lock:
            self._tally.refused_429 += 1

    def fault(self, name: str) -> None:
        """Count a fault that did something."""
        with self._lock:
            self._tally.by_fault[name] += 1

    def export_started(self, export: StartedExport) -> None:
        """Note an export that was accepted."""
        with self._lock:
            self._tally.exports.append(export)

    def file_sent(self, name: str, size_bytes: int) -> None:
        """Count the bytes of a file, or of a part of it, that went out."""
        with self._lock:
            use = self._tally.files.setdefault(name, _FileUse())
            use.count += 1
            use.bytes += size_bytes

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._tally = _Tally()

    def as_json(self) -> dict[str, Any]:
        """A copy for the reply."""
        with self._lock:
            seen = deepcopy(vars(self._tally))
        seen["exports"] = [asdict(export) for export in seen["exports"]]
        seen["files"] = {name: asdict(use) for name, use in seen["files"].items()}
        return seen
