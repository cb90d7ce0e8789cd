"""The ledger knows what was meant before it was done, and loses nothing to crowds."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import MachineError
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.ledger_rows import Export, TypeStage
from ecw_pipeline_tests.builders import (
    MONDAY,
    TUESDAY,
    mode_of,
    monday_clock,
    no_room_for_files,
    unwritable,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state" / "ledger.sqlite", monday_clock())


def intend(
    ledger: Ledger,
    resource_types: Sequence[str] = ("Patient", "Task"),
    since: datetime | None = None,
    days: Sequence[str] = ("2024-01-01",),
    connection_id: str = "practice",
) -> Export:
    return ledger.intend_export(connection_id, "system", "", resource_types, since, days)


def file(resource_type: str = "Patient", kind: str = "output", **values: Any) -> dict[str, Any]:
    url = "https://a.org/1?signature=s3cret"
    row = {"kind": kind, "resource_type": resource_type, "url": url, "manifest_count": None}
    return row | values


def completed(ledger: Ledger, *files: dict[str, Any]) -> Export:
    export = intend(ledger)
    ledger.mark_completed(export.export_id, TUESDAY, True, files or (file(),))
    return ledger.export(export.export_id)


def type_states(ledger: Ledger, export: Export) -> dict[str, str]:
    return {one.resource_type: one.state for one in ledger.types(export.export_id)}


def test_an_intent_is_on_record_before_anything_was_asked(ledger: Ledger) -> None:
    export = intend(ledger, since=TUESDAY)

    assert export.state == "intended"
    assert export.is_open
    assert export.kick_offs == 0
    assert export.requested_at is None
    assert export.since == TUESDAY
    assert export.intended_at == MONDAY
    assert type_states(ledger, export) == {"Patient": "pending", "Task": "pending"}
    assert ledger.days_of(export.export_id) == ["2024-01-01"]


def test_another_process_sees_it_at_once(ledger: Ledger, tmp_path: Path) -> None:
    export = intend(ledger)
    other = Ledger(tmp_path / "state" / "ledger.sqlite", monday_clock())

    assert other.exports() == [export]


def test_each_kick_off_is_counted_before_it_leaves(ledger: Ledger) -> None:
    export = intend(ledger)
    ledger.mark_kick_off(export.export_id)
    ledger.mark_kick_off(export.export_id)

    assert ledger.export(export.export_id).kick_offs == 2


def test_a_requested_export_knows_where_and_when_to_ask(ledger: Ledger) -> None:
    export = intend(ledger)
    ledger.mark_requested(export.export_id, "https://a.org/status", "5%", 30.0, TUESDAY)
    known = ledger.export(export.export_id)

    assert (known.state, known.status_url, known.progress) == (
        "requested",
        "https://a.org/status",
        "5%",
    )
    assert (known.wait_seconds, known.next_poll_at) == (30.0, TUESDAY)


def test_the_first_request_time_stays_while_it_is_polled(tmp_path: Path) -> None:
    clock = monday_clock()
    ledger = Ledger(tmp_path / "l.sqlite", clock)
    export = intend(ledger)
    ledger.mark_requested(export.export_id, "u", "", 1.0, TUESDAY)
    clock.advance(3600)
    ledger.mark_requested(export.export_id, "u", "50%", 1.0, TUESDAY)

    assert ledger.export(export.export_id).requested_at == MONDAY


def test_a_refused_kick_off_stays_intended_with_its_reason(ledger: Ledger) -> None:
    export = intend(ledger)
    ledger.mark_waiting(export.export_id, "HTTP 429", TUESDAY)
    known = ledger.export(export.export_id)

    assert (known.state, known.error, known.next_poll_at) == ("intended", "HTTP 429", TUESDAY)


def test_a_manifest_plans_its_files_and_names_types_beyond_those_asked_for(
    ledger: Ledger,
) -> None:
    export = completed(
        ledger, file("Patient", manifest_count=5), file("Group"), file("Bundle", "deleted")
    )

    assert (export.state, export.known_at) == ("completed", TUESDAY)
    assert export.has_arrived
    assert export.next_poll_at is None
    assert [(f.file_number, f.resource_type, f.state) for f in ledger.files(export.export_id)] == [
        (0, "Patient", "planned"),
        (1, "Group", "planned"),
        (2, "Bundle", "planned"),
    ]
    assert sorted(type_states(ledger, export)) == ["Group", "Patient", "Task"]


def test_the_same_manifest_twice_plans_its_files_once(ledger: Ledger) -> None:
    export = completed(ledger, file())
    ledger.mark_file(export.export_id, 0, state="downloaded", sha256="ab")
    ledger.mark_completed(export.export_id, TUESDAY, True, [file()])

    assert [f.state for f in ledger.files(export.export_id)] == ["downloaded"]


def test_an_export_without_a_manifest_has_no_instant(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="has not arrived"):
        _ = intend(ledger).known_at


def test_an_export_nobody_knows_is_a_key_error(ledger: Ledger) -> None:
    with pytest.raises(KeyError):
        ledger.export("none")


@pytest.mark.parametrize(
    ("patient", "task", "export_state"),
    [
        ("pending", "pending", "completed"),
        ("landed", "pending", "completed"),
        ("landed", "failed", "completed"),
        ("landed", "landed", "landed"),
        ("loaded", "landed", "landed"),
        ("loaded", "failed", "completed"),
        ("loaded", "loaded", "loaded"),
    ],
)
def test_an_export_is_as_far_as_the_last_of_its_types(
    ledger: Ledger, patient: TypeStage, task: TypeStage, export_state: str
) -> None:
    export = completed(ledger)
    ledger.mark_type(export.export_id, "Patient", patient)
    ledger.mark_type(export.export_id, "Task", task)

    assert ledger.export(export.export_id).state == export_state


def test_a_type_of_an_export_that_failed_does_not_bring_it_back(ledger: Ledger) -> None:
    export = intend(ledger)
    ledger.mark_state(export.export_id, "failed", "no")
    ledger.mark_type(export.export_id, "Patient", "landed")

    assert ledger.export(export.export_id).state == "failed"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Patient", "Task"]),
            st.sampled_from(["pending", "landed", "loaded", "failed"]),
        ),
        max_size=6,
    )
)
def test_an_export_is_loaded_exactly_when_all_its_types_are(
    tmp_path_factory: pytest.TempPathFactory, marks: list[tuple[str, TypeStage]]
) -> None:
    ledger = Ledger(tmp_path_factory.getbasetemp() / "law.sqlite", monday_clock())
    export = completed(ledger)
    for name, state in marks:
        ledger.mark_type(export.export_id, name, state)

    is_loaded = ledger.export(export.export_id).state == "loaded"
    assert is_loaded == (set(type_states(ledger, export).values()) == {"loaded"})


def test_many_days_may_share_an_export_and_a_day_may_have_many(ledger: Ledger) -> None:
    first = intend(ledger, days=["2024-01-02", "2024-01-01"])
    second = intend(ledger, days=["2024-01-02", "2024-01-02"])
    ledger.assign_days(first, ["2024-01-03", "2024-01-01"])

    assert ledger.days_of(first.export_id) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    both = sorted([first.export_id, second.export_id])
    assert sorted(ledger.answered_days("practice")["2024-01-02"]) == both
    assert ledger.exports_of_days("practice", ["2024-01-03", "2024-01-09"]) == [first]


def test_connections_do_not_see_each_other(ledger: Ledger) -> None:
    east, west = intend(ledger, connection_id="east"), intend(ledger, connection_id="west")

    assert ledger.exports("east") == [east]
    assert ledger.exports_of_days("west", ["2024-01-01"]) == [west]
    assert ledger.answered_days("east") == {"2024-01-01": [east.export_id]}


def test_exports_come_oldest_first_within_a_second_too(tmp_path: Path) -> None:
    clock = ManualClock(MONDAY)
    ledger = Ledger(tmp_path / "l.sqlite", clock)
    intended = []
    for _ in range(8):
        intended.append(intend(ledger).export_id)
        clock.advance(0.1)

    assert [export.export_id for export in ledger.exports()] == intended


@settings(max_examples=40, deadline=None)
@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 1, 1)))  # noqa: DTZ001 - made aware below
def test_an_instant_comes_back_as_it_was_recorded(
    tmp_path_factory: pytest.TempPathFactory, naive: datetime
) -> None:
    ledger = Ledger(tmp_path_factory.getbasetemp() / "instants.sqlite", monday_clock())
    instant = naive.replace(tzinfo=MONDAY.tzinfo) + timedelta(0)

    assert intend(ledger, since=instant).since == instant


def test_a_step_that_breaks_off_leaves_no_half_of_it(ledger: Ledger) -> None:
    export = intend(ledger)

    with pytest.raises(IntegrityError) as caught:
        ledger.mark_completed(export.export_id, TUESDAY, True, [file(), file(url=None)])
    assert "s3cret" not in str(caught.value)
    assert ledger.files(export.export_id) == []
    assert ledger.export(export.export_id).state == "intended"


def test_it_is_its_owners_alone(ledger: Ledger, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state" / "ledger.sqlite") as reader:
        reader.execute("SELECT 1 FROM export").fetchall()
        intend(ledger)
        modes = {mode_of(path) for path in (tmp_path / "state").iterdir()}
    reader.close()

    assert modes == {0o600}
    assert mode_of(tmp_path / "state") == 0o700


def test_it_writes_ahead_so_that_readers_do_not_wait(ledger: Ledger, tmp_path: Path) -> None:
    reader = sqlite3.connect(tmp_path / "state" / "ledger.sqlite")
    assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader.close()


def test_a_reader_is_answered_while_somebody_writes(ledger: Ledger, tmp_path: Path) -> None:
    export = intend(ledger)
    writer = sqlite3.connect(tmp_path / "state" / "ledger.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE export SET state = 'failed'")

    assert ledger.export(export.export_id).state == "intended"
    writer.execute("ROLLBACK")
    writer.close()


def test_threads_lose_nothing_to_each_other(ledger: Ledger) -> None:
    export = intend(ledger)

    def work() -> None:
        for _ in range(10):
            ledger.mark_kick_off(export.export_id)
            intend(ledger)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ledger.export(export.export_id).kick_offs == 40
    assert len(ledger.exports()) == 41


PROCESS = """
import sys
from pathlib import Path
from ecw_pipeline.clock import SystemClock
from ecw_pipeline.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), SystemClock())
for _ in range(10):
    ledger.mark_kick_off(sys.argv[2])
    ledger.intend_export("practice", "system", "", ["Patient"], None, ["2024-01-01"])
"""


def test_processes_lose_nothing_to_each_other(ledger: Ledger, tmp_path: Path) -> None:
    export = intend(ledger)
    path = str(tmp_path / "state" / "ledger.sqlite")
    command = [sys.executable, "-c", PROCESS, path, export.export_id]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]

    assert ledger.export(export.export_id).kick_offs == 30
    assert len(ledger.exports()) == 31


def test_processes_may_create_it_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.sqlite"
    threads = [threading.Thread(target=Ledger, args=(path, monday_clock())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Ledger(path, monday_clock()).exports() == []


def test_a_full_disk_is_a_machine_error_without_urls(ledger: Ledger) -> None:
    export = intend(ledger)

    with no_room_for_files(), pytest.raises(MachineError) as caught:
        ledger.mark_completed(export.export_id, TUESDAY, True, [file()])
    assert "ledger.sqlite cannot be used" in caught.value.message
    assert "s3cret" not in str(caught.value)
    assert caught.value.next_step
    assert ledger.export(export.export_id) == export


def test_a_file_that_is_no_ledger_is_a_machine_error(tmp_path: Path) -> None:
    (tmp_path / "l.sqlite").write_text("not a database, but long enough to be looked at " * 50)

    with pytest.raises(MachineError, match=r"l\.sqlite cannot be used"):
        Ledger(tmp_path / "l.sqlite", monday_clock())


def test_a_ledger_of_an_earlier_version_gets_the_columns_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    export = intend(Ledger(path, monday_clock()))
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE export DROP COLUMN progressed_at")

    ledger = Ledger(path, monday_clock())
    ledger.mark_requested(export.export_id, "https://a.org/status", "1%", 1.0, TUESDAY)

    assert ledger.export(export.export_id).progressed_at == MONDAY


def test_only_progress_counts_as_progress(tmp_path: Path) -> None:
    clock = monday_clock()
    ledger = Ledger(tmp_path / "l.sqlite", clock)
    export_id = intend(ledger).export_id
    for progress in ("", "1%", "2%", "2%"):
        clock.advance(60)
        ledger.mark_requested(export_id, "https://a.org/status", progress, 1.0, TUESDAY)

    assert ledger.export(export_id).progressed_at == MONDAY + timedelta(minutes=3)


def test_a_read_only_folder_is_a_machine_error(tmp_path: Path) -> None:
    with unwritable(tmp_path), pytest.raises(MachineError, match="cannot be written"):
        Ledger(tmp_path / "state" / "l.sqlite", monday_clock())
