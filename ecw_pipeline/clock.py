"""Time as a value that is handed in, so that tests can say what time it is."""

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a negative wait is no wait."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class ManualClock:
    """A clock that moves only when it is told to, or when someone sleeps on it."""

    def __init__(self, at: datetime) -> None:
        self._now = at.astimezone(UTC)
        self.slept_seconds: list[float] = []

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept_seconds.append(seconds)
            # Datetimes count whole microseconds: who sleeps, however shortly, wakes no earlier.
            self._now += timedelta(microseconds=max(1, math.ceil(round(seconds * 1e6, 3))))

    def advance(self, seconds: float) -> None:
        """Move time forward."""
        self._now += timedelta(seconds=seconds)
