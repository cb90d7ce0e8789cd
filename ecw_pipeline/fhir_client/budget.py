"""One request budget per connection, shared by every process that speaks to it.

Grants are paced: a process holds the lock while it waits for its turn, so requests leave evenly
spaced, and the kernel hands the lock over in turn, so that nobody starves. A token bucket would
let bursts through that a rolling window at the server counts as excess.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from ecw_pipeline.clock import Clock
from ecw_pipeline.fhir_client.providers import Window
from ecw_pipeline.files import PRIVATE_FILE_MODE, machine_errors, private_folder

# Requests reach the server with jitter: a little slower than allowed is never too fast.
PACE_SLACK = 1.05
# How far the server's wall clock may be from ours when a calendar window turns.
CALENDAR_SLACK_SECONDS = 1.0
# The longest calendar window that one waits out when the server refuses and does not say why.
LONGEST_TURN_SECONDS = 3600

Lane = Literal["urgent", "files", "attachments"]
# Before each lane's turn at the budget stand these queues, of which one request at a time gets
# through: so the few requests that exports depend on wait for one file at most, not for hundreds.
QUEUES: dict[Lane, tuple[str, ...]] = {
    "urgent": (),
    "files": ("files",),
    "attachments": ("attachments", "files"),
}


@dataclass(frozen=True)
class Usage:
    """What has been granted, in seconds since the epoch.

    ``calendar_counts`` maps a window's length in seconds to (its start, grants in it).
    """

    recent_grants: tuple[float, ...] = ()
    calendar_counts: dict[str, tuple[float, int]] = field(default_factory=dict)
    paused_until: float = 0.0


def next_grant(windows: tuple[Window, ...], usage: Usage, now: float) -> float:
    """When the next request may leave: ``now`` or later, in seconds since the epoch."""
    earliest = [now, usage.paused_until]
    for window in windows:
        if window.kind == "rolling":
            earliest.append(_after_rolling(window, usage.recent_grants))
        else:
            earliest.append(_after_calendar(window, usage, now))
    return max(earliest)


def _used(window: Window, usage: Usage, now: float) -> int:
    """The grants in the window that now is in."""
    if window.kind == "rolling":
        return sum(now - window.seconds < at <= now for at in usage.recent_grants)
    start, count = usage.calendar_counts.get(str(window.seconds), (0.0, 0))
    return count if start <= now < start + window.seconds else 0


def _after_rolling(window: Window, grants: tuple[float, ...]) -> float:
    if not grants:
        return 0.0
    paced = grants[-1] + PACE_SLACK * window.seconds / window.limit
    if len(grants) < window.limit:
        return paced
    return max(paced, grants[-window.limit] + PACE_SLACK * window.seconds)


def _after_calendar(window: Window, usage: Usage, now: float) -> float:
    start, count = usage.calendar_counts.get(str(window.seconds), (0.0, 0))
    if now // window.seconds * window.seconds != start or count < window.limit:
        return 0.0
    return start + window.seconds + CALENDAR_SLACK_SECONDS


def record_grant(windows: tuple[Window, ...], usage: Usage, at: float) -> Usage:
    """Count one request that leaves at ``at``."""
    counts = {}
    for window in windows:
        if window.kind == "calendar":
            start = at // window.seconds * window.seconds
            seen_start, seen = usage.calendar_counts.get(str(window.seconds), (start, 0))
            counts[str(window.seconds)] = (start, seen + 1 if seen_start == start else 1)
    kept = max((window.limit for window in windows if window.kind == "rolling"), default=1)
    grants = (*usage.recent_grants, at)[-kept:]
    return replace(usage, recent_grants=grants, calendar_counts=counts)


class Budget:
    """The budget of one connection, kept in a file that all its processes lock in turn."""

    def __init__(self, path: Path, windows: tuple[Window, ...], clock: Clock) -> None:
        self._path = path
        self._windows = windows
        self._clock = clock

    def acquire(self, lane: Lane = "urgent") -> None:
        """Wait until one more request may leave, and count it.

        Raises:
            MachineError: the budget's file cannot be written.
        """
        with contextlib.ExitStack() as queues:
            for name in QUEUES[lane]:
                queues.enter_context(_locked(self._path.with_suffix(f".{name}.lock")))
            self._grant()

    def _grant(self) -> None:
        with _locked(self._path) as stream:
            usage = _read(stream)
            now = self._seconds()
            if usage.recent_grants and usage.recent_grants[-1] > now + 60:
                usage = Usage(calendar_counts=usage.calendar_counts)  # the clock was set back
            at = next_grant(self._windows, usage, now)
            while (wait_seconds := at - self._seconds()) > 0:
                self._clock.sleep(wait_seconds)
            _write(stream, record_grant(self._windows, usage, self._seconds()))

    def pause(self, seconds: float) -> None:
        """Let nobody send for ``seconds``: the server asked for it."""
        with _locked(self._path) as stream:
            usage = _read(stream)
            until = max(usage.paused_until, self._seconds() + seconds)
            _write(stream, replace(usage, paused_until=until))

    def paces(self, limit: int | None) -> bool:
        """Whether a limit of the server's is a rolling window that grants are paced by already."""
        return any(w.kind == "rolling" and w.limit == limit for w in self._windows)

    def seconds_to_turn(self) -> float:
        """Until the shortest calendar window turns; 0 where there is none to wait for."""
        now = self._seconds()
        lengths = [w.seconds for w in self._windows if w.kind == "calendar"]
        shortest = min((s for s in lengths if s <= LONGEST_TURN_SECONDS), default=0)
        return shortest - now % shortest + CALENDAR_SLACK_SECONDS if shortest else 0.0

    def seconds_for(self, requests: int) -> float:
        """How long so many more requests take at least, if nobody else sends any."""
        usage, now = self.usage(), self._seconds()
        at = now
        for _ in range(requests):
            at = next_grant(self._windows, usage, at)
            usage = record_grant(self._windows, usage, at)
        return at - now

    def longest(self) -> tuple[int, int]:
        """The requests used of the longest window that is in force now, and its limit.

        Both are 0 where there is no limit.
        """
        if not self._windows:
            return 0, 0
        window = max(self._windows, key=lambda one: one.seconds)
        return _used(window, self.usage(), self._seconds()), window.limit

    def in_words(self) -> str:
        """What is used of the windows that are in force now: ``3 of 7 in 1 s, 120 of 250 in 60 s``.

        A pause that a server asked for is told too.
        """
        usage, now = self.usage(), self._seconds()
        told = [
            f"{_used(window, usage, now)} of {window.limit} in {window.seconds} s"
            for window in self._windows
        ]
        if usage.paused_until > now:
            told.append(f"paused by the server for {usage.paused_until - now:.0f} s")
        return ", ".join(told) or "no limit"

    def usage(self) -> Usage:
        """What has been granted so far, for people to read; does not wait for the lock."""
        try:
            return _parse(self._path.read_text(encoding="utf-8"))
        except OSError:
            return Usage()

    def _seconds(self) -> float:
        return self._clock.now().timestamp()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    private_folder(path.parent)
    with machine_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE_MODE)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield stream


def _read(stream: TextIO) -> Usage:
    stream.seek(0)
    return _parse(stream.read())


def _parse(text: str) -> Usage:
    """Read the file's text; what a longer text before it left at the end does not matter.

    One that makes no sense counts as nothing granted yet.
    """
    try:
        document: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
        return Usage(
            tuple(document["recent_grants"]),
            {key: (start, count) for key, (start, count) in document["calendar_counts"].items()},
            document["paused_until"],
        )
    except (ValueError, KeyError, TypeError):
        return Usage()


def _write(stream: TextIO, usage: Usage) -> None:
    text = json.dumps(asdict(usage))
    stream.seek(0)
    stream.write(text)
    stream.truncate()
    stream.flush()
