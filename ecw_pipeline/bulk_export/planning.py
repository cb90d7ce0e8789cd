"""Which exports to ask for, from what has landed. Pure.

The watermark of a type is the greatest ``transactionTime`` of a landed, unfiltered export of it
whose ``_since`` left no gap behind. Chaining to the last *completed* export would lose what a
failed type missed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


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


def types_to_reconcile(
    last_full: Mapping[str, datetime], now: datetime, every: timedelta
) -> frozenset[str]:
    """The types whose last full export was asked for so long ago that it is time for another.

    Only a full export shows what a server deleted without a word, or left out of its changes. It
    counts from when it was asked for, even in vain: a server that fails at full exports goes on
    giving changes meanwhile. No time in ``every`` is never.
    """
    due = (name for name, asked_at in last_full.items() if now - asked_at >= every)
    return frozenset(due if every else ())


def plan_exports(
    wanted: Sequence[str],
    landed: Iterable[LandedType],
    *,
    anew: Collection[str] = (),
    since: datetime | None = None,
) -> list[ExportPlan]:
    """One incremental export of the known types, and a full one of those never seen.

    Types in ``anew`` are asked for as if never seen. ``since`` stands in the place of the
    watermarks; what it leaves out is still asked for by the plans after it.
    """
    if since is not None:
        return [ExportPlan(tuple(wanted), since)] if wanted else []
    known = {name: mark for name, mark in watermarks(landed).items() if name not in anew}
    followed = tuple(name for name in wanted if name in known)
    unseen = tuple(name for name in wanted if name not in known)
    plans = []
    if unseen:
        plans.append(ExportPlan(unseen, None))
    if followed:
        plans.append(ExportPlan(followed, min(known[name] for name in followed)))
    return plans
