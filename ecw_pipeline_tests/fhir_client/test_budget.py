"""No window ever holds more requests than it may, whoever asks and whenever they start."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecw_pipeline.clock import ManualClock, SystemClock
from ecw_pipeline.errors import MachineError
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.fhir_client.budget import Budget, Lane
from ecw_pipeline.fhir_client.providers import BRIEF_WINDOWS, LIVE_WINDOWS, Window
from ecw_pipeline_tests.builders import mode_of, monday_clock, no_room_for_files, unwritable

ROLLING = st.builds(Window, st.integers(1, 20), st.integers(1, 5))
CALENDAR = st.builds(Window, st.integers(1, 12), st.sampled_from([60, 86_400]), st.just("calendar"))
WINDOWS = st.lists(ROLLING, max_size=3) | st.lists(ROLLING | CALENDAR, min_size=1, max_size=4)
STARTS = st.sampled_from(
    [
        "2024-01-01T12:00:00Z",
        "2024-01-01T12:00:58.7Z",
        "2024-02-29T23:59:57.123457Z",
        "1970-01-01T00:00:00Z",
    ]
)
# How long nobody asks before the next request, and whether a new process asks it.
ARRIVALS = st.lists(
    st.tuples(st.floats(0, 3) | st.sampled_from([0.0, 0.0, 61.0, 90_000.0]), st.booleans()),
    min_size=1,
    max_size=60,
)


def grants(
    windows: Sequence[Window], clock: ManualClock, arrivals: Sequence[tuple[float, bool]]
) -> list[float]:
    """When each request left, in seconds since the epoch."""
    left = []
    with TemporaryDirectory() as folder:
        budget = Budget(Path(folder) / "budget.json", tuple(windows), clock)
        for gap_seconds, is_restarted in arrivals:
            clock.advance(gap_seconds)
            if is_restarted:
                budget = Budget(Path(folder) / "budget.json", tuple(windows), clock)
            budget.acquire()
            left.append(clock.now().timestamp())
    return left


def most_in(window: Window, at: Sequence[float]) -> int:
    """The most requests any one span of a window held."""
    if window.kind == "calendar":
        return max(Counter(moment // window.seconds for moment in at).values())
    return max(sum(1 for other in at if start <= other < start + window.seconds) for start in at)


@settings(deadline=None, max_examples=150)
@given(WINDOWS, STARTS, ARRIVALS)
@example(list(BRIEF_WINDOWS), "2024-01-01T12:00:00Z", [(0.0, True)] * 60)
@example([Window(2, 60, "calendar")], "2024-01-01T23:59:59.9Z", [(0.0, False)] * 9)
@example([Window(3, 86_400, "calendar")], "2024-01-01T23:59:59.9Z", [(0.0, True)] * 9)
def test_no_window_is_ever_exceeded(
    windows: list[Window], start: str, arrivals: list[tuple[float, bool]]
) -> None:
    left = grants(windows, ManualClock(parse_instant(start)), arrivals)

    assert [w for w in windows if most_in(w, left) > w.limit] == []


def test_the_brief_windows_hold_over_a_thousand_requests_in_a_row() -> None:
    left = grants(LIVE_WINDOWS, monday_clock(), [(0.0, False)] * 1000)

    assert {w: most_in(w, left) <= w.limit for w in LIVE_WINDOWS} == dict.fromkeys(
        LIVE_WINDOWS, True
    )


def test_at_least_nine_tenths_of_the_rate_are_used() -> None:
    left = grants(BRIEF_WINDOWS, monday_clock(), [(0.0, False)] * 701)

    assert 700 / (left[-1] - left[0]) > 0.9 * 7


def test_a_request_after_a_pause_leaves_at_once() -> None:
    left = grants(BRIEF_WINDOWS, monday_clock(), [(0.0, False), (10.0, False)])

    assert left[1] - left[0] == 10.0


def test_a_full_minute_ends_with_the_minute() -> None:
    clock = ManualClock(parse_instant("2024-01-01T12:00:30Z"))
    left = grants([Window(1, 60, "calendar")], clock, [(0.0, False)] * 2)

    assert left[1] >= parse_instant("2024-01-01T12:01:00Z").timestamp()
    assert left[1] <= parse_instant("2024-01-01T12:01:02Z").timestamp()


def test_a_full_day_ends_at_midnight_utc() -> None:
    clock = ManualClock(parse_instant("2024-01-01T23:59:00Z"))
    left = grants([Window(1, 86_400, "calendar")], clock, [(0.0, True)] * 2)

    assert left[1] >= parse_instant("2024-01-02T00:00:00Z").timestamp()


def test_a_pause_holds_for_every_process(tmp_path: Path) -> None:
    clock = monday_clock()
    Budget(tmp_path / "b.json", BRIEF_WINDOWS, clock).pause(30)
    before = clock.now()
    Budget(tmp_path / "b.json", BRIEF_WINDOWS, clock).acquire()

    assert clock.now() - before == timedelta(seconds=30)


def test_a_shorter_pause_does_not_shorten_a_longer_one(tmp_path: Path) -> None:
    clock = monday_clock()
    budget = Budget(tmp_path / "b.json", BRIEF_WINDOWS, clock)
    budget.pause(30)
    budget.pause(5)

    assert budget.usage().paused_until == clock.now().timestamp() + 30


def test_a_request_of_the_urgent_lane_waits_for_one_file_at_most(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "b.json", (Window(20, 1),), SystemClock())
    order: list[str] = []

    def ask(lane: Lane) -> None:
        budget.acquire(lane)
        order.append(lane)

    files: list[Lane] = ["files"] * 12
    lanes: list[Lane] = ["attachments", *files, "urgent"]
    threads = [threading.Thread(target=ask, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert order.index("urgent") < 12
    assert len(order) == len(lanes)


def test_the_time_that_requests_take_is_known_beforehand(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "b.json", LIVE_WINDOWS, monday_clock())

    assert budget.seconds_for(0) == 0
    assert 1 < budget.seconds_for(14) < 3
    assert 600 <= budget.seconds_for(2501) <= 660


def test_a_clock_that_was_set_back_does_not_stop_everybody_until_then(tmp_path: Path) -> None:
    clock = monday_clock()
    budget = Budget(tmp_path / "b.json", BRIEF_WINDOWS, clock)
    budget.acquire()
    budget.pause(30)
    clock.advance(-86_400)
    before = clock.now()
    budget.acquire()

    assert clock.now() - before < timedelta(seconds=60)


@pytest.mark.parametrize("text", ["", "null", "{}", '{"recent_grants": 5}', "\0\0", "[1"])
def test_a_budget_that_cannot_be_read_starts_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    budget = Budget(tmp_path / "b.json", BRIEF_WINDOWS, monday_clock())
    budget.acquire()

    assert len(budget.usage().recent_grants) == 1


def test_the_end_of_an_older_longer_text_does_not_lose_the_count(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "b.json", LIVE_WINDOWS, monday_clock())
    budget.acquire()
    counted = budget.usage()
    path = tmp_path / "b.json"
    path.write_text(path.read_text() + "0}")

    assert budget.usage() == counted


def test_what_was_granted_can_be_read_before_the_first_request(tmp_path: Path) -> None:
    assert Budget(tmp_path / "none.json", BRIEF_WINDOWS, monday_clock()).usage().paused_until == 0


def test_the_budget_is_its_owners_alone(tmp_path: Path) -> None:
    Budget(tmp_path / "budget" / "b.json", BRIEF_WINDOWS, monday_clock()).acquire()

    assert mode_of(tmp_path / "budget") == 0o700
    assert mode_of(tmp_path / "budget" / "b.json") == 0o600


def test_the_file_does_not_grow_with_the_number_of_requests(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "b.json", BRIEF_WINDOWS, monday_clock())
    for _ in range(100):
        budget.acquire()

    assert len(json.loads((tmp_path / "b.json").read_text())["recent_grants"]) == 14


def test_a_full_disk_is_a_machine_error(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "b.json", BRIEF_WINDOWS, monday_clock())

    with no_room_for_files(), pytest.raises(MachineError, match=r"b\.json"):
        budget.acquire()


def test_a_read_only_folder_is_a_machine_error(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "b.json", BRIEF_WINDOWS, monday_clock())

    with unwritable(tmp_path), pytest.raises(MachineError, match=r"cannot be written"):
        budget.acquire()


PROCESS = """
import sys
import threading
from pathlib import Path
from ecw_pipeline.clock import SystemClock
from ecw_pipeline.fhir_client.budget import Budget, Lane
from ecw_pipeline.fhir_client.providers import Window
budget = Budget(Path(sys.argv[1]), (Window(25, 1),), SystemClock())
for _ in range(5):
    budget.acquire()
"""


def test_processes_that_share_a_file_keep_the_spacing(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    processes = [subprocess.Popen([sys.executable, "-c", PROCESS, str(path)]) for _ in range(3)]
    assert [process.wait(timeout=30) for process in processes] == [0, 0, 0]
    left = Budget(path, (Window(25, 1),), monday_clock()).usage().recent_grants

    assert len(left) == 15
    assert min(later - earlier for earlier, later in pairwise(left)) > 1 / 25


def test_what_is_used_is_told_in_words(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC))
    windows = (Window(7, 1), Window(250, 60, "calendar"))
    budget = Budget(tmp_path / "budget.json", windows, clock)

    assert budget.in_words() == "0 of 7 in 1 s, 0 of 250 in 60 s"
    for _ in range(3):
        budget.acquire()
    assert budget.in_words().endswith("3 of 250 in 60 s")
    clock.advance(1.5)
    assert budget.in_words() == "0 of 7 in 1 s, 3 of 250 in 60 s"
    clock.advance(60)
    assert budget.in_words() == "0 of 7 in 1 s, 0 of 250 in 60 s"
    budget.pause(90)
    assert budget.in_words().endswith(", paused by the server for 90 s")
