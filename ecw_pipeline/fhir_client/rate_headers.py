"""What a server says of waiting, and of what is left of its limit. Pure.

Source: RFC 9110, 10.2.3; draft-ietf-httpapi-ratelimit-headers; ``X-RateLimit-…`` as in use.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

LONGEST_WAIT_SECONDS = 300.0
_MEMBER = re.compile(r"\b(r|remaining|t|reset|q|limit)=(\d+)")


@dataclass(frozen=True)
class Spent:
    """A limit that is used up, and for how long."""

    limit: int | None
    wait_seconds: float


def retry_after_seconds(headers: httpx.Headers, now: datetime) -> float | None:
    """Read ``Retry-After`` as a wait: seconds, an HTTP date, epoch seconds or milliseconds.

    The last two are seen in the wild. The wait is clamped to 0 … 300 s.
    """
    return _wait(headers.get("retry-after", ""), now)


def spent(headers: httpx.Headers, now: datetime) -> Spent | None:
    """The limit that nothing is left of, if the server says so and until when."""
    told = _told(headers)
    wait = _wait(told.get("reset", ""), now)
    if told.get("remaining", "").strip() != "0" or wait is None:
        return None
    limit = told.get("limit", "").strip()
    return Spent(int(limit) if limit.isdecimal() else None, wait)


def _told(headers: httpx.Headers) -> dict[str, str]:
    """Limit, remaining and reset, from whichever header has them."""
    for prefix in ("x-ratelimit-", "ratelimit-"):
        found = {n: headers.get(prefix + n, "") for n in ("limit", "remaining", "reset")}
        if found["remaining"]:
            return found
    names = {"r": "remaining", "t": "reset", "q": "limit"}
    members = _MEMBER.findall(headers.get("ratelimit", ""))
    return {names.get(name, name): value for name, value in members}


def _wait(text: str, now: datetime) -> float | None:
    text = text.strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _until_date(text, now)
    if seconds > 1e11:
        seconds = seconds / 1000 - now.timestamp()
    elif seconds > 1e9:
        seconds -= now.timestamp()
    return _clamped(seconds)


def _until_date(text: str, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return _clamped((aware - now).total_seconds())


def _clamped(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS) if seconds == seconds else 0.0
