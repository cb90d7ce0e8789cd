"""What the server needs of its data, be it made up or read from a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

# Patient and Group exports bring these only when they are asked for by name, and then all of
# the practice's, as eClinicalWorks does. Bulk Data leaves associated resources to the server.
ASSOCIATED_TYPES = frozenset(
    {"Group", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole"}
)


class Entry(NamedTuple):
    """A resource in an export, or the news that it is gone (``line`` is None)."""

    resource_type: str
    resource_id: str
    line: bytes | None


@dataclass(frozen=True)
class Selection:
    """Which resources, as they were after ``day`` days.

    Args:
        group: only its members' resources.
        since: only what changed or went after this instant; None leaves deletions out.
    """

    day: int
    resource_types: frozenset[str]
    group: str | None = None
    since: datetime | None = None


class Source(Protocol):
    """Data that can be exported as of a day."""

    @property
    def resource_types(self) -> tuple[str, ...]:
        """The types it serves."""
        ...

    @property
    def groups(self) -> tuple[str, ...]:
        """The ids of the Groups that can be exported."""
        ...

    @property
    def day(self) -> int:
        """How many days have been skipped."""
        ...

    def entries(self, selection: Selection) -> Iterator[Entry]:
        """The selected resources, and what was deleted since; constant memory."""
        ...

    def expected_entries(self, selection: Selection) -> int:
        """About how many entries there will be, for the progress header."""
        ...

    def find(self, resource_type: str, resource_id: str) -> bytes | None:
        """The line of one resource as it is now."""
        ...

    def advance(self, days: int) -> dict[str, Any]:
        """Let days pass; says what came, changed and went."""
        ...
