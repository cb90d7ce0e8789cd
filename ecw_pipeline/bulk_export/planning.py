"""Which exports to ask for, from what has landed. Pure.

The watermark of a type is the greatest ``transactionTime`` of a landed, unfiltered export of it
whose ``_since`` left no gap behind. Chaining to the last *completed* export would lose what a
failed type missed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class LandedType:
    """One type that landed with an unfiltered export of the same connection, level and group."""

    resource_type: str
    since: datetime | None
    transaction_time: datetime


@dataclass(frozen=True)
class ExportPlan:
    """One export to ask for; no ``since`` means everything."""

    resource_types: tuple[str, ...]
    since: datetime | None


def watermarks(landed: Iterable[LandedType]) -> dict[str, datetime]:
    """Up to when each type is known without a gap."""
    known: dict[str, datetime] = {}
    for piece in sorted(landed, key=lambda piece: piece.transaction_time):
        before = known.get(piece.resource_type)
        if piece.since is None or (before is not None and piece.since <= before):
            known[piece.resource_type] = piece.transaction_time
    return known


def plan_exports(
    wanted: Sequence[str], landed: Iterable[LandedType], *, is_full: bool = False
) -> list[ExportPlan]:
    """One incremental export of the known types, and a full one of those never seen."""
    known = {} if is_full else watermarks(landed)
    followed = tuple(name for name in wanted if name in known)
    unseen = tuple(name for name in wanted if name not in known)
    plans = []
    if unseen:
        plans.append(ExportPlan(unseen, None))
    if followed:
        plans.append(ExportPlan(followed, min(known[name] for name in followed)))
    return plans
