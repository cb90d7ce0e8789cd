"""Exports that do not arrive: which of them is asked for once more, and which need a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake

# So many exports are asked for, one after the other; then it is a person's turn, or the next day's.
MOST_EXPORTS_IN_A_ROW = 3
PAUSE_BEFORE_NEXT = timedelta(minutes=15)
# Longer than that without progress is told of, long before the deadline ends an export.
STUCK_AFTER = timedelta(hours=1)
# A load a day is what the schedule brings; after two days without one somebody has to look.
LATE_AFTER = timedelta(hours=26)
MISSED_AFTER = timedelta(hours=50)


@dataclass(frozen=True)
class Trouble:
    """What is wrong with an export, for a person to read. A final one does not mend by itself."""

    words: str
    is_final: bool


def failed_exports(ledger: Ledger, connection_id: str) -> list[Export]:
    """The exports that failed and that none has made good since, oldest first."""
    failed: list[Export] = []
    for export in ledger.exports(connection_id):
        if export.is_partial:
            continue  # somebody asked for it, and was told
        if export.state == "failed":
            failed.append(export)
        elif export.has_arrived:
            has = set(export.resource_types)
            failed = [one for one in failed if not has.issuperset(one.resource_types)]
    return failed


def export_to_repeat(lake: Lake, connection_id: str) -> Export | None:
    """The failed export whose days are to be asked for again, if it is time for that."""
    failed = failed_exports(lake.ledger, connection_id)
    if not failed or len(failed) >= MOST_EXPORTS_IN_A_ROW:
        return None
    is_time = lake.clock.now() - failed[-1].intended_at >= PAUSE_BEFORE_NEXT
    is_asked = any(export.is_open for export in lake.ledger.exports(connection_id))
    return failed[-1] if is_time and not is_asked else None


def troubles(lake: Lake) -> list[Trouble]:
    """What keeps exports from arriving, of every connection."""
    found = []
    for connection in lake.settings.connections():
        name = connection.connection_id
        failed = failed_exports(lake.ledger, name)
        if len(failed) >= MOST_EXPORTS_IN_A_ROW:
            last = failed[-1]
            words = f"{name}: {len(failed)} exports failed in a row; {last.export_id}: {last.error}"
            found.append(Trouble(words, is_final=True))
        for export in lake.ledger.exports(name):
            if export.is_open and lake.clock.now() - _moved_at(export) > STUCK_AFTER:
                since = format_instant(_moved_at(export))
                words = f"{name}: export {export.export_id} has made no progress since {since}"
                found.append(Trouble(words, is_final=False))
        if not failed and (missed := _missed(lake, name)):
            found.append(missed)
    return found


def _missed(lake: Lake, connection_id: str) -> Trouble | None:
    """That nobody asks any more: the schedule was switched off, or its daemon is not running."""
    exports = [one for one in lake.ledger.exports(connection_id) if not one.is_partial]
    arrived = [one.completed_at for one in exports if one.has_arrived and one.completed_at]
    is_asked = any(one.is_open for one in exports)
    if is_asked or not arrived or lake.clock.now() - max(arrived) <= MISSED_AFTER:
        return None
    words = f"{connection_id}: nothing was asked for since {max(arrived):%Y-%m-%d %H:%MZ}"
    next_step = "switch on the schedule daily_sync, or run ecw export"
    return Trouble(f"{words}; {next_step}", is_final=True)


def _moved_at(export: Export) -> datetime:
    return export.progressed_at or export.intended_at
