"""The rate windows: what was seen at arrival, and whether it was too much."""

import math
import threading
from collections import deque
from dataclasses import dataclass, field

from ecw_pipeline.sandbox.config import Window


@dataclass(frozen=True)
class Verdict:
    """What one request's arrival meant to the tightest of the windows."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float

    @property
    def headers(self) -> dict[str, str]:
        """The three headers of every reply, and ``Retry-After`` of a refusal."""
        reset = str(max(1, math.ceil(self.reset_seconds)))
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": reset,
        }
        return headers if self.allowed else {**headers, "Retry-After": reset}


@dataclass
class _Meter:
    """One window: arrivals as judged (with tolerance), and the most ever seen (without)."""

    window: Window
    tolerance_seconds: float
    arrivals: deque[float] = field(default_factory=deque)
    bucket: int = -1
    in_bucket: int = 0
    most_seen: int = 0

    def arrive(self, at: float, wall: float) -> Verdict:
        if self.window.kind == "calendar":
            return self._arrive_in_bucket(wall)
        return self._arrive_rolling(at)

    def _arrive_in_bucket(self, wall: float) -> Verdict:
        bucket = int(wall // self.window.seconds)
        if bucket != self.bucket:
            self.bucket, self.in_bucket = bucket, 0
        self.in_bucket += 1
        self.most_seen = max(self.most_seen, self.in_bucket)
        left = (bucket + 1) * self.window.seconds - wall
        return self._verdict(self.in_bucket, left)

    def _arrive_rolling(self, at: float) -> Verdict:
        self.arrivals.append(at)
        while self.arrivals[0] <= at - self.window.seconds:
            self.arrivals.popleft()
        self.most_seen = max(self.most_seen, len(self.arrivals))
        horizon = at - (self.window.seconds - self.tolerance_seconds)
        judged = sum(1 for arrival in self.arrivals if arrival > horizon)
        return self._verdict(judged, self._seconds_until_room(at))

    def _seconds_until_room(self, at: float) -> float:
        over = max(0, len(self.arrivals) - self.window.limit)
        return self.arrivals[over] + self.window.seconds - at

    def _verdict(self, judged: int, reset_seconds: float) -> Verdict:
        limit = self.window.limit
        return Verdict(judged <= limit, limit, max(0, limit - judged), reset_seconds)


class RateLimiter:
    """All windows of one server. Refused requests count as well: they were requests."""

    def __init__(self, windows: tuple[Window, ...], tolerance_seconds: float) -> None:
        self._meters = [_Meter(window, tolerance_seconds) for window in windows]
        self._lock = threading.Lock()

    def arrive(self, at: float, wall: float) -> Verdict:
        """Count one request.

        Args:
            at: monotonic seconds, for rolling windows.
            wall: seconds of the epoch, for calendar windows.
        """
        with self._lock:
            verdicts = [meter.arrive(at, wall) for meter in self._meters]
        refused = [verdict for verdict in verdicts if not verdict.allowed]
        if refused:
            return max(refused, key=lambda verdict: verdict.reset_seconds)
        unlimited = Verdict(True, 0, 0, 0.0)
        return min(verdicts, key=lambda v: v.remaining / v.limit, default=unlimited)

    def maxima(self) -> dict[str, int]:
        """The most requests any span of each window has held."""
        with self._lock:
            return {meter.window.name: meter.most_seen for meter in self._meters}

    def forget_maxima(self) -> None:
        """Start the maxima anew; the windows themselves go on."""
        with self._lock:
            for meter in self._meters:
                meter.most_seen = 0
