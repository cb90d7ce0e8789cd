"""Law 5 read a second time: what exports brought, folded in plain Python, a resource at a time.

Written from the law and from what docs/incremental.md promises; no code is shared with the
warehouse, and nothing here knows in what order exports were loaded.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby


@dataclass(frozen=True)
class Line:
    """A line that could be read: a version of a resource, and where it stands."""

    resource_id: str
    updated_at: datetime | None
    content: str
    is_partial: bool
    source_file: str
    source_line: int


@dataclass(frozen=True)
class Delivery:
    """What one export brought of one resource type.

    ``is_complete`` says that it holds everything of the type in its scope. ``unreadable`` are the
    resources of which it has a line that could not be read.
    """

    connection_id: str
    export_id: str
    scope: str
    at: datetime
    is_complete: bool
    lines: tuple[Line, ...]
    deleted: frozenset[str]
    unreadable: frozenset[str]

    def brings(self, resource_id: str) -> bool:
        return any(line.resource_id == resource_id for line in self.lines)

    def deletes(self, resource_id: str) -> bool:
        """Whether it says that a resource is gone, and does not show it all the same."""
        is_shown = self.brings(resource_id) or resource_id in self.unreadable
        return resource_id in self.deleted and not is_shown

    def lacks(self, resource_id: str) -> bool:
        """Whether it would hold the resource if there were one."""
        is_known = self.brings(resource_id) or resource_id in self.deleted | self.unreadable
        return self.is_complete and not is_known


@dataclass(frozen=True)
class Sighting:
    """A version in the export that showed it."""

    line: Line
    delivery: Delivery

    @property
    def instant(self) -> datetime:
        return self.line.updated_at or self.delivery.at

    def begins(self, gap_before: datetime | None) -> datetime:
        """From when it counts: what was gone since counts from when it was seen again."""
        was_gone = gap_before is not None and gap_before >= self.instant
        return self.delivery.at if was_gone else self.instant


@dataclass(frozen=True)
class Span:
    """A version and from when to when it was the current one."""

    sighting: Sighting
    valid_from: datetime
    valid_to: datetime | None
    closed_by: str | None

    def holds_at(self, instant: datetime) -> bool:
        return self.valid_from <= instant and (self.valid_to is None or instant < self.valid_to)


def plain_fold(deliveries: Collection[Delivery]) -> list[Span]:
    """Every span of every resource; those without an end are current."""
    resources = {(d.connection_id, line.resource_id) for d in deliveries for line in d.lines}
    return [
        span
        for connection_id, resource_id in sorted(resources)
        for span in _story(resource_id, [d for d in deliveries if d.connection_id == connection_id])
    ]


def _story(resource_id: str, deliveries: list[Delivery]) -> Iterator[Span]:
    """The spans of one resource: its lives are what lies between deletions and absences."""
    gaps = _gaps(resource_id, deliveries)
    sightings = [
        Sighting(line, delivery)
        for delivery in deliveries
        for line in delivery.lines
        if line.resource_id == resource_id
    ]
    for number, end in enumerate([*sorted(gaps), None]):
        begin = sorted(gaps)[number - 1] if number else None
        life = [one for one in sightings if _life_of(one, gaps) == number]
        yield from _spans(_versions(life), begin, end, gaps.get(end) if end else None)


def _gaps(resource_id: str, deliveries: list[Delivery]) -> dict[datetime, str]:
    """When the resource was gone, and how that is known."""
    gaps = {d.at: "deleted" for d in deliveries if d.deletes(resource_id)}
    for delivery in deliveries:
        was_there = any(
            other.scope == delivery.scope and other.at < delivery.at and other.brings(resource_id)
            for other in deliveries
        )
        if was_there and delivery.lacks(resource_id):
            gaps.setdefault(delivery.at, "absent")
    return gaps


def _life_of(sighting: Sighting, gaps: Collection[datetime]) -> int:
    """After how many gaps a version belongs: those before its instant, or before it was seen."""
    return sum(gap < max(sighting.instant, sighting.delivery.at) for gap in gaps)


def _versions(life: list[Sighting]) -> list[Sighting]:
    """The different versions of a life in order, each as it was first seen."""
    kept: list[Sighting] = []
    for one in sorted(life, key=_age):
        has_full = any(not other.line.is_partial for other in kept)
        if not (one.line.is_partial and has_full):
            kept.append(one)
    return [next(same) for _, same in groupby(kept, key=lambda one: one.line.content)]


def _age(one: Sighting) -> tuple[object, ...]:
    line, delivery = one.line, one.delivery
    place = (delivery.export_id, line.source_file, line.source_line)
    return one.instant, delivery.at, line.content, place


def _spans(
    versions: list[Sighting], begin: datetime | None, end: datetime | None, closed_by: str | None
) -> Iterator[Span]:
    """Each version until the next; none begins later than one that follows it."""
    begins = [one.begins(begin) for one in versions]
    valid_from = [min(begins[number:]) for number in range(len(begins))]
    valid_to = [*valid_from[1:], end]
    closings = ["superseded"] * (len(versions) - 1) + [closed_by]
    yield from map(Span, versions, valid_from, valid_to, closings)
