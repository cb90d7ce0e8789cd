"""FHIR instants and dateTimes as aware UTC datetimes, and back.

Source: FHIR R4, "Data Types", instant and dateTime.
"""

import re
from datetime import UTC, datetime

from ecw_pipeline.errors import BadDataError

_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})",
)


def parse_instant(text: str) -> datetime:
    """Read a FHIR instant; digits beyond microseconds are dropped.

    Raises:
        BadDataError: the text is not an instant.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise BadDataError("not a FHIR instant (expected 2024-01-31T12:00:00Z)")
    seconds, fraction, zone = match.groups()
    microseconds = (fraction or "")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{seconds}.{microseconds}{zone}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadDataError("not a FHIR instant (no such date or time)") from error


def format_instant(instant: datetime) -> str:
    """Write an aware datetime as a FHIR instant in UTC: ``2024-01-31T12:00:00.250Z``."""
    text = instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    return text.rstrip("0").rstrip(".") + "Z"
