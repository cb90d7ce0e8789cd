"""Asking: once per day, once at a time, and on record before it leaves."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecw_pipeline.errors import ProtocolError, TemporaryError
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.exports import advance_export, describe, require_arrived
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline_tests.builders import MONDAY
from ecw_pipeline_tests.odd_server import raw
from ecw_pipeline_tests.stages.practice import DAY, Practice, practice, small_data
from ecw_pipeline_tests.stages.proxy import body_of, forwarded, hung_up, status

KICK_OFF = "/fhir/r4/$export?"
TUESDAY, WEDNESDAY = "2026-01-06", "2026-01-07"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Practice]:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as made:
        yield made


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Practice]:
    """A practice whose exports take longer than a test."""
    with practice(tmp_path, data=small_data(tmp_path / "lines"), export_seconds=600.0) as made:
        yield made


def _started(one: Practice) -> list[dict[str, Any]]:
    """The exports the server started."""
    exports: list[dict[str, Any]] = one.site.stats()["exports"]
    return exports


def _land(one: Practice, day: str = DAY) -> list[Export]:
    exports = one.arrive(day)
    assert one.land(*exports) == {}
    return exports


def test_a_day_that_is_answered_is_not_asked_again(one: Practice) -> None:
    first = _land(one)

    assert [e.export_id for e in one.ask(DAY)] == [e.export_id for e in first]

    assert len(_started(one)) == 1


def test_a_further_day_asks_only_for_what_changed_since(one: Practice) -> None:
    (first,) = _land(one)

    (second,) = one.ask(TUESDAY)

    assert second.since == first.transaction_time


def test_progress_is_told_while_there_is_some_to_come(one: Practice) -> None:
    (loaded,) = _land(one)
    told = replace(loaded, progress="69 %")

    assert describe(told)["progress"] == ""
    assert describe(replace(told, state="requested"))["progress"] == "69 %"


def test_an_open_export_answers_further_days_too(slow: Practice) -> None:
    (first,) = slow.ask(DAY)

    slow.ask(TUESDAY)

    assert slow.lake.ledger.days_of(first.export_id) == [DAY, TUESDAY]
    assert len(_started(slow)) == 1


def test_a_day_whose_export_failed_is_asked_again(one: Practice) -> None:
    one.proxy.spoil(KICK_OFF, status(400), times=1)
    assert [e.state for e in one.ask(DAY)] == ["failed"]

    assert [e.state for e in one.ask(DAY)] == ["requested"]


def test_full_asks_for_everything_anew(one: Practice) -> None:
    _land(one)

    (again,) = one.ask(DAY, Wish(is_full=True))

    assert again.since is None
    assert len(_started(one)) == 2


def test_another_since_asks_again_and_leaves_the_watermark_where_a_gap_would_be(
    one: Practice,
) -> None:
    (first,) = _land(one)
    later = first.known_at + timedelta(hours=1)
    exports = one.arrive(DAY, Wish(since=later))
    assert one.land(*exports) == {}

    (third,) = one.ask(TUESDAY)

    assert [export.since for export in exports] == [later]
    assert third.since == first.transaction_time


def test_changes_since_long_ago_wait_for_the_export_under_way(slow: Practice) -> None:
    slow.ask(DAY, Wish(since=MONDAY))

    slow.ask(DAY, Wish(since=MONDAY + timedelta(hours=1)))  # is answered by the one under way
    with pytest.raises(TemporaryError, match="under way"):
        slow.ask(DAY, Wish(since=MONDAY - timedelta(hours=1)))

    assert len(_started(slow)) == 1


def test_a_full_export_reconciles_every_thirty_days(one: Practice) -> None:
    _land(one)
    one.clock.advance(timedelta(days=29).total_seconds())
    (soon,) = _land(one, TUESDAY)
    one.clock.advance(timedelta(days=1).total_seconds())

    (later,) = one.ask(WEDNESDAY)

    assert (soon.since is None, later.since) == (False, None)


def test_a_full_export_that_failed_leaves_way_to_the_changes(one: Practice) -> None:
    (first,) = _land(one)
    one.clock.advance(timedelta(days=30).total_seconds())
    one.proxy.spoil(KICK_OFF, status(400), times=1)
    (failed,) = one.ask(TUESDAY)

    (changes,) = one.ask(TUESDAY)

    assert (failed.state, failed.since) == ("failed", None)
    assert changes.since == first.transaction_time


def test_an_export_that_did_not_land_moves_no_watermark(one: Practice) -> None:
    one.arrive(DAY)

    (second,) = one.ask(TUESDAY)

    assert second.since is None


def test_a_type_wanted_later_gets_a_full_export_of_its_own(one: Practice) -> None:
    one.set("ECW_RESOURCE_TYPES", "Patient")
    (first,) = _land(one)
    one.set("ECW_RESOURCE_TYPES", "Patient,Practitioner")

    asked = {e.resource_types: e.since for e in one.ask(TUESDAY)}

    assert asked == {("Patient",): first.transaction_time, ("Practitioner",): None}


def test_an_export_of_ours_that_runs_is_not_taken_for_the_next(one: Practice) -> None:
    one.set("ECW_RESOURCE_TYPES", "Patient")
    _land(one)
    one.set("ECW_RESOURCE_TYPES", "Patient,Practitioner")

    def one_at_a_time(_: httpx.Response) -> bytes:
        (running,) = [e for e in one.lake.ledger.exports() if e.state == "requested"]
        return raw(429, content_location=running.status_url)

    one.proxy.spoil(KICK_OFF, forwarded, times=1)
    one.proxy.spoil(KICK_OFF, one_at_a_time, times=1)

    exports = one.arrive(TUESDAY)

    assert {e.resource_types for e in exports} == {("Practitioner",), ("Patient",)}
    assert len({e.status_url for e in exports}) == 2


def test_two_who_ask_at_once_start_one_export(slow: Practice) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: slow.ask(DAY), range(4)))

    assert len({e.export_id for answer in answers for e in answer}) == 1
    assert len(_started(slow)) == 1


def test_a_kick_off_under_way_is_not_sent_again_by_who_looks_after_open_exports(
    slow: Practice,
) -> None:
    arrived, released = threading.Event(), threading.Event()

    def hold(reply: httpx.Response) -> bytes:
        arrived.set()
        released.wait(10)
        return raw(202, content_location=reply.headers["content-location"])

    slow.proxy.spoil(KICK_OFF, hold, times=1)
    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(slow.ask, DAY)
        assert arrived.wait(10)
        (export,) = slow.lake.ledger.exports()
        looking = pool.submit(advance_export, slow.lake, export.export_id)
        threading.Event().wait(0.3)  # long enough for a second request to leave
        released.set()
        asking.result()
        assert looking.result().state == "requested"

    assert slow.proxy.arrived(KICK_OFF) == 1


def test_the_intent_is_on_record_before_the_request_leaves(slow: Practice) -> None:
    seen: list[tuple[str, int]] = []

    def look(_: httpx.Response) -> bytes:
        seen.extend((e.state, e.kick_offs) for e in slow.lake.ledger.exports())
        return b""

    slow.proxy.spoil(KICK_OFF, look)
    with pytest.raises(TemporaryError):
        slow.ask(DAY)

    assert seen == [("intended", 1)]


def test_an_uncertain_kick_off_is_asked_once_more_on_record(one: Practice) -> None:
    one.proxy.spoil(KICK_OFF, hung_up, times=1)
    with pytest.raises(TemporaryError, match="broke"):
        one.ask(DAY)
    (uncertain,) = one.lake.ledger.exports()
    assert uncertain.state == "uncertain"

    (export,) = one.ask(DAY)

    assert (export.export_id, export.kick_offs) == (uncertain.export_id, 2)
    assert one.proxy.arrived(KICK_OFF) == 2


def test_a_kick_off_that_stays_uncertain_fails_explicitly(slow: Practice) -> None:
    slow.proxy.spoil(KICK_OFF, hung_up)
    for _ in range(2):
        with pytest.raises(TemporaryError):
            slow.ask(DAY)

    (export,) = slow.ask(DAY)

    assert export.state == "failed"
    assert slow.proxy.arrived(KICK_OFF) == 2
    with pytest.raises(ProtocolError, match="broke"):
        require_arrived(export)


def test_a_refused_kick_off_does_not_count_as_uncertain(slow: Practice) -> None:
    slow.proxy.spoil(KICK_OFF, status(429), times=1)
    slow.ask(DAY)
    slow.clock.advance(120)
    slow.proxy.spoil(KICK_OFF, hung_up, times=1)
    with pytest.raises(TemporaryError):
        slow.ask(DAY)

    (export,) = slow.ask(DAY)

    assert export.state != "failed"
    assert slow.proxy.arrived(KICK_OFF) == 3


def test_an_overdue_export_is_cancelled_at_the_server_and_fails(slow: Practice) -> None:
    (export,) = slow.ask(DAY)
    slow.clock.advance(181 * 60)

    overdue = advance_export(slow.lake, export.export_id)

    assert overdue.state == "failed"
    assert "180 minutes" in overdue.error
    assert slow.proxy.arrived("DELETE /fhir/r4/$export-status") == 1


@pytest.mark.parametrize("is_reachable", [True, False])
def test_an_overdue_export_that_cannot_be_asked_about_is_given_up(
    slow: Practice, is_reachable: bool
) -> None:
    (export,) = slow.ask(DAY)
    slow.proxy.spoil("GET /fhir/r4/$export-status", elsewhere)
    if not is_reachable:
        slow.proxy.spoil("DELETE /fhir/r4/$export-status", hung_up)

    slow.clock.advance(60)
    with pytest.raises(ProtocolError, match="not its own host"):
        advance_export(slow.lake, export.export_id)
    assert "not its own host" in slow.lake.ledger.export(export.export_id).error

    slow.clock.advance(181 * 60)
    overdue = advance_export(slow.lake, export.export_id)

    assert overdue.state == "failed"
    assert "180 minutes (the server sends us to elsewhere.example" in overdue.error
    assert [one.state for one in slow.ask(TUESDAY)] == ["requested"]


def elsewhere(_: httpx.Response) -> bytes:
    return raw(302, location="https://elsewhere.example/status")


def test_a_server_that_takes_kick_offs_by_post_alone_is_asked_so(one: Practice) -> None:
    one.proxy.spoil("GET /fhir/r4/$export?", lambda _: raw(405, allow="OPTIONS, POST"))

    _land(one)

    assert one.proxy.arrived("POST /fhir/r4/$export") == 1


def test_a_group_may_have_nothing_of_a_type(one: Practice) -> None:
    one.set("ECW_EXPORT_LEVEL", "group")
    one.set("ECW_GROUP_ID", "all-patients")
    one.set("ECW_RESOURCE_TYPES", "Patient")
    _land(one)
    one.set("ECW_RESOURCE_TYPES", "Patient,Practitioner")
    one.proxy.spoil("$export-status", without_files)

    exports = one.arrive(TUESDAY)

    assert {export.resource_types for export in exports} == {("Patient",), ("Practitioner",)}
    assert [export.error for export in exports] == ["", ""]


def without_files(reply: httpx.Response) -> bytes:
    return raw(200, json.dumps({**json.loads(body_of(reply)), "output": []}).encode())


def test_an_export_is_not_asked_about_before_its_time(slow: Practice) -> None:
    (export,) = slow.ask(DAY)

    advance_export(slow.lake, export.export_id)

    assert slow.proxy.arrived("GET /fhir/r4/$export-status") == 0
