"""The sandbox's own clock: real seconds since the start, plus the days it was told to skip."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

# Changes of a skipped day happen in its second half, so the real seconds that run before
# `advance` must stay in the first half: after twelve hours the clock waits for the next day.
_LONGEST_DAY = timedelta(hours=12)


class SimulatedTime:
    """Says what time it is in the sandbox, and on which day."""

    def __init__(
        self, started_at: datetime, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._started_at = started_at
        self._monotonic = monotonic
        self._origin = monotonic()

    def now(self, day: int) -> datetime:
        """The instant, ``day`` days having been skipped."""
        elapsed = timedelta(seconds=self._monotonic() - self._origin)
        return self._started_at + timedelta(days=day) + min(elapsed, _LONGEST_DAY)


def instant_in_day(started_at: datetime, day: int, random: Random) -> datetime:
    """When, while day ``day`` was skipped, something happened.

    Later than any ``now`` of the days before, earlier than any of the days after.
    """
    start = started_at + timedelta(days=day - 1) + _LONGEST_DAY
    return start + timedelta(seconds=random.randint(60, 43_000))
