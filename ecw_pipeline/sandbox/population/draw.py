"""Repeatable draws. Everything random comes from a generator seeded by names, not by order."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

Row = TypeVar("Row", bound=tuple[Any, ...])


def random_for(*names: object) -> Random:
    """A generator of its own for what the names name."""
    return Random(":".join(map(str, names)))


def weighted(random: Random, rows: Sequence[Row]) -> Row:
    """One row of a table whose first column is its weight."""
    return random.choices(rows, weights=[row[0] for row in rows])[0]


def chance(random: Random, percent: float) -> bool:
    """True this often."""
    return random.random() * 100 < percent


def working_hour(random: Random, day: datetime) -> datetime:
    """An appointment's start on that day, between 13:00 and 21:00 UTC (a working day in Boston)."""
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(hours=13, minutes=15 * random.randrange(32))
