"""From the wish for data to a manifest: plan, ask, wait. The ledger is written first each time."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

import httpx

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.bulk_export.planning import ExportPlan
from ecw_pipeline.bulk_export.protocol import (
    Completed,
    ExportState,
    Failed,
    InProgress,
    Lost,
    Refused,
    Unsupported,
)
from ecw_pipeline.errors import ConfigurationError, EcwError, ProtocolError, TemporaryError
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.events import tell_kick_off, tell_poll
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.manifests import keep_manifest, request_of
from ecw_pipeline.stages.offers import known_offer, learn_offer, require_offered
from ecw_pipeline.stages.plans import NEWS, Wish, is_covered, is_on_its_way, plans_for
from ecw_pipeline.stages.troubles import failed_exports

# A kick-off whose reply never came is asked once more, on record: nobody can know if it counted.
# So is one whose export the server forgot.
MOST_KICK_OFFS = 2
UNREACHABLE_WAIT_SECONDS = 60.0
# How soon a server that makes one export at a time is asked for the next, unless it says later.
ONE_AT_A_TIME_SECONDS = 10.0
# Exports take 5 to 30 minutes: a step that must wait for one tries again then.
WAIT_FOR_OTHERS_SECONDS = 900.0


class NotUnderWayError(ConfigurationError):
    """An export cannot be cancelled any more."""


class ExportUnderWayError(TemporaryError):
    """There is never a second export while one runs."""


def start_exports(
    lake: Lake,
    connection: Connection,
    days: Sequence[str],
    wish: Wish = NEWS,
    *,
    ask_again: bool = False,
) -> list[Export]:
    """See to it that exports answer the partition days; returns them, old and new.

    Days that are answered stay so, unless ``ask_again`` wants the changes since, or ``wish`` more
    than that. An export that is still open answers
    further days too: there is never a second one while one runs. ``ask_again`` first finishes what
    a failure or a kill left undone.

    Raises:
        TemporaryError: more is wanted than an export brings that is under way.
        EcwError: the server cannot be reached, or refuses.
    """
    ledger = lake.ledger
    if patient := lake.signed_in_patient(connection):
        only = replace(wish.restriction, patient_ids=wish.restriction.patient_ids or (patient,))
        wish = replace(wish, restriction=only)
    with _only_one(lake, connection.connection_id):
        running = [e for e in ledger.exports(connection.connection_id) if e.is_open]
        if running:
            return _join(lake, connection, running, days, wish)
        unfinished = unfinished_exports(lake, connection.connection_id)
        if ask_again and unfinished and not wish:
            return unfinished
        if ask_again or wish:
            return _ask(lake, connection, days, wish)
        answered = [e for e in ledger.exports_of_days(connection.connection_id, days) if _stands(e)]
        open_days = _open_days(ledger, connection.connection_id, days, answered)
        return answered + (_ask(lake, connection, open_days) if open_days else [])


def _join(
    lake: Lake,
    connection: Connection,
    running: Sequence[Export],
    days: Sequence[str],
    wish: Wish,
) -> list[Export]:
    """Let exports that are under way answer further days."""
    offered = known_offer(lake, connection.connection_id).available
    if not is_covered(running, connection, wish, offered):
        raise ExportUnderWayError(
            f"an export of {connection.connection_id} is under way that brings less",
            "ask for more when it is done: ecw status",
            retry_after_seconds=WAIT_FOR_OTHERS_SECONDS,
        )
    for export in running:
        lake.ledger.assign_days(export, days)
    return [_advance(lake, export.export_id) for export in running]


def _open_days(
    ledger: Ledger, connection_id: str, days: Sequence[str], answered: Iterable[Export]
) -> set[str]:
    """The days without an answer, or of which some types' export failed for good."""
    answers = {day for export in answered for day in ledger.days_of(export.export_id)}
    failed = failed_exports(ledger, connection_id)
    unanswered = {day for export in failed for day in ledger.days_of(export.export_id)}
    return (set(days) - answers) | (set(days) & unanswered)


def _only_one(lake: Lake, connection_id: str) -> AbstractContextManager[None]:
    """One process at a time speaks of exports: an intent that is being sent is not sent again."""
    return lake.only_one(f"start-{connection_id}")


def unfinished_exports(lake: Lake, connection_id: str) -> list[Export]:
    """The exports of which a kill or a failure left something undone, while they are fresh.

    What could not be had for a day is asked for anew: its types' watermarks have not moved.
    """
    recent = lake.clock.now() - timedelta(days=1)
    return [
        export
        for export in lake.ledger.exports(connection_id)
        if export.has_arrived
        and (export.completed_at or recent) > recent
        and (export.state != "loaded" or is_on_its_way(lake.ledger, export))
    ]


def _stands(export: Export) -> bool:
    return not export.is_void and not export.is_partial


def _ask(
    lake: Lake,
    connection: Connection,
    days: Iterable[str],
    wish: Wish = NEWS,
) -> list[Export]:
    with lake.client(connection.connection_id) as client:
        if wish.types:
            types = require_offered(connection, client, wish.types)
        else:
            types = learn_offer(lake, connection, client).available
        plans = plans_for(lake, connection, types, wish)
        intents = [_intend(lake, connection, plan, days, wish) for plan in plans]
        return [_kick_off(lake, client, export) for export in intents]


def _intend(
    lake: Lake, connection: Connection, plan: ExportPlan, days: Iterable[str], wish: Wish
) -> Export:
    usual = lake.connection(connection.connection_id)
    is_elsewhere = (connection.level, connection.group_id) != (usual.level, usual.group_id)
    return lake.ledger.intend_export(
        connection.connection_id,
        connection.level,
        connection.group_id,
        plan.resource_types,
        plan.since,
        days,
        wish.restriction,
        is_partial=is_elsewhere or bool(wish.types or wish.restriction),
    )


def _kick_off(lake: Lake, client: BulkExportClient, export: Export) -> Export:
    """Send the request that the ledger already knows of."""
    if export.state == "intended" and export.kick_offs and not export.error:
        lake.ledger.mark_state(export.export_id, "uncertain", "no reply to the kick-off was seen")
    lake.ledger.mark_kick_off(export.export_id)
    try:
        request = request_of(export)
        state = client.kick_off(request)
    except TemporaryError as error:
        _note_unreachable(lake, export.export_id, error)
        raise
    if isinstance(state, Failed):
        state = Failed(f"{state.reason}{_where_refused(export)}")
    state = _unless_another_of_ours(lake, export, state)
    _record(lake, export.export_id, state)  # a log that cannot be written costs no export
    tell_kick_off(lake, export, request, state)
    return lake.ledger.export(export.export_id)


def _where_refused(export: Export) -> str:
    """Which setting may be wrong; some servers answer 401 for a group that they do not know."""
    if export.level == "group":
        return f" for Group {export.group_id}: check ECW_GROUP_ID, and ECW_EXPORT_LEVEL"
    return f" at {export.level} level: check ECW_EXPORT_LEVEL (ecw doctor)"


def _unless_another_of_ours(lake: Lake, export: Export, state: ExportState) -> ExportState:
    """Wait where the export that the server sends us to is another one of ours.

    Servers that allow one at a time say where the running one is: its files are of other types.
    """
    under_way = {
        other.status_url: other.export_id
        for other in lake.ledger.exports(export.connection_id)
        if other.state == "requested" and other.export_id != export.export_id
    }
    if not (isinstance(state, InProgress) and state.status_url in under_way):
        return state
    reason = f"the server is at work on export {under_way[state.status_url]}: one at a time"
    return Refused(reason, max(state.wait_seconds, ONE_AT_A_TIME_SECONDS))


def _note_unreachable(lake: Lake, export_id: str, error: TemporaryError) -> None:
    """Without a connection nothing was asked; a connection that broke leaves it open."""
    if isinstance(error.__cause__, httpx.ConnectError):
        at = lake.clock.now() + timedelta(seconds=UNREACHABLE_WAIT_SECONDS)
        lake.ledger.mark_waiting(export_id, error.message, at)
    else:
        lake.ledger.mark_state(export_id, "uncertain", error.message)


def cancel_export(lake: Lake, export_id: str) -> Export:
    """End an export that is under way, at the server and here.

    Raises:
        NotUnderWayError: it has ended.
        TemporaryError: the server cannot be reached: nothing is ended.
    """
    with _only_one(lake, lake.ledger.export(export_id).connection_id):
        export = lake.ledger.export(export_id)
        if not export.is_open:
            raise NotUnderWayError(
                f"export {export_id} is not under way: it is {export.state}", "ecw status"
            )
        if export.status_url:
            with lake.client(export.connection_id) as client:
                client.cancel(export.status_url)
        lake.ledger.mark_state(export_id, "cancelled", "cancelled on request")
    return lake.ledger.export(export_id)


def advance_export(lake: Lake, export_id: str) -> Export:
    """Take an open export one step further, if its time has come: one request at most.

    Raises:
        TemporaryError: the server cannot be reached now.
    """
    export = lake.ledger.export(export_id)
    if not _is_due(lake, export):
        return export
    with _only_one(lake, export.connection_id):
        return _advance(lake, export_id)


def _is_due(lake: Lake, export: Export) -> bool:
    return export.is_open and (
        export.next_poll_at is None or export.next_poll_at <= lake.clock.now()
    )


def _advance(lake: Lake, export_id: str) -> Export:
    export = lake.ledger.export(export_id)
    if not _is_due(lake, export):
        return export
    now = lake.clock.now()
    with lake.client(export.connection_id) as client:
        if export.state == "requested":
            polled = _poll(lake, client, export, is_last=_is_overdue(lake, export, now))
            is_late = polled.is_open and _is_overdue(lake, polled, now)
            return _give_up(lake, client, polled) if is_late else polled
        if _is_overdue(lake, export, now):
            return _give_up(lake, client, export)
        return _kick_off(lake, client, export)


def _poll(lake: Lake, client: BulkExportClient, export: Export, *, is_last: bool) -> Export:
    """Ask how far an export is. That there was no answer is noted, and raised unless it is late."""
    waiting = InProgress(export.status_url, export.progress, export.wait_seconds)
    try:
        state = client.poll(waiting)
    except EcwError as error:
        lake.ledger.note_error(export.export_id, error.message)
        if not is_last:
            raise
    else:
        _record(lake, export.export_id, state)
        tell_poll(lake, export, state)
    return lake.ledger.export(export.export_id)


def _is_overdue(lake: Lake, export: Export, now: datetime) -> bool:
    limit = timedelta(minutes=lake.settings.export_deadline_minutes)
    is_hopeless = export.state == "uncertain" and export.kick_offs >= MOST_KICK_OFFS
    return is_hopeless or now - export.intended_at > limit


def _give_up(lake: Lake, client: BulkExportClient, export: Export) -> Export:
    if export.status_url:
        with suppress(TemporaryError):  # who cannot be asked cannot be told
            client.cancel(export.status_url)
    minutes = lake.settings.export_deadline_minutes
    said = export.error or export.progress
    reason = f"not complete after {minutes:g} minutes{f' ({said})' if said else ''}; cancelled"
    if export.error and export.state != "requested":
        reason = export.error
    lake.ledger.mark_state(export.export_id, "failed", reason)
    return lake.ledger.export(export.export_id)


def _record(lake: Lake, export_id: str, state: ExportState) -> None:
    """Write the new state down."""
    now = lake.clock.now()
    match state:
        case InProgress():
            at = now + timedelta(seconds=state.wait_seconds)
            lake.ledger.mark_requested(
                export_id, state.status_url, state.progress, state.wait_seconds, at
            )
        case Refused():
            at = now + timedelta(seconds=state.wait_seconds)
            lake.ledger.mark_waiting(export_id, state.reason, at)
        case Unsupported():
            lake.ledger.mark_without(export_id, state.parameter, state.reason)
        case Completed():
            keep_manifest(lake, export_id, state)
        case Lost() if lake.ledger.export(export_id).kick_offs < MOST_KICK_OFFS:
            lake.ledger.mark_lost(export_id, f"{state.reason}: it is asked for anew")
        case Lost() | Failed():
            lake.ledger.mark_state(export_id, "failed", state.reason)


def wait_for_exports(
    lake: Lake, export_ids: Sequence[str], report: Callable[[Export], None] = lambda _export: None
) -> list[Export]:
    """Poll until none of the exports is open any more; ``report`` hears of every step.

    Returns all of them: those that arrived, and those that failed (see `require_arrived`).
    """
    while True:
        exports = [advance_export(lake, export_id) for export_id in export_ids]
        for export in exports:
            report(export)
        waits = [e.next_poll_at for e in exports if e.is_open]
        if not waits:
            return exports
        soonest = min(at or lake.clock.now() for at in waits)
        lake.clock.sleep((soonest - lake.clock.now()).total_seconds())


def require_arrived(export: Export) -> Export:
    """Refuse an export whose manifest is not there.

    Raises:
        TemporaryError: it is still being made.
        ProtocolError: it failed.
    """
    if export.has_arrived:
        return export
    if export.is_open:
        raise TemporaryError(
            f"export {export.export_id} is not complete yet ({export.progress or export.state})",
            "the sensor lands it when it is; or run `ecw export --wait`",
        )
    raise why_failed(export)


def why_failed(export: Export) -> EcwError:
    """What became of an export that the server refused or gave up, or that we did."""
    return ProtocolError(
        f"export {export.export_id} {export.state}: {export.error}",
        "ask anew: ecw export, or materialise export_request of that day again",
    )


def describe(export: Export) -> dict[str, str]:
    """An export in a few words for people; no URL, no patient."""
    return {
        "export_id": export.export_id,
        "connection_id": export.connection_id,
        "state": export.state,
        "since": format_instant(export.since) if export.since else "the beginning",
        "types": ", ".join(export.resource_types),
        "restriction": export.restriction.in_words,
        "progress": export.progress if export.is_open else "",
        "error": export.error,
    }
