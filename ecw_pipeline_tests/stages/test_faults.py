"""Every fault of the sandbox, and what becomes of an export because of it.

A row says the fault, how the export ends, and what the operator reads on the way. Whatever the
row, what has landed in the end is the server's truth, or the type has not landed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import EcwError, TemporaryError
from ecw_pipeline.landing.ndjson import numbered_lines
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.sandbox.faults.table import FAULTS
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages import landing
from ecw_pipeline.stages.exports import require_arrived, start_exports, wait_for_exports
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.outcomes import issues_by_severity
from ecw_pipeline.stages.plans import NEWS, Wish
from ecw_pipeline_tests.builders import monday_clock
from ecw_pipeline_tests.pipeline.harness import Site, site
from ecw_pipeline_tests.sandbox.harness import Visitor
from ecw_pipeline_tests.stages.practice import DAY, small_data

TYPES = ("Patient", "Practitioner")
TRUTH = {"Patient/ann", "Patient/bob", "Patient/cyd", "Practitioner/doc"}


@dataclass(frozen=True)
class Visit:
    """One small practice, asked again and again as an operator would."""

    site: Site
    clock: ManualClock
    messages: list[str] = field(default_factory=list)

    @property
    def lake(self) -> Lake:
        return Lake(Settings.from_environment(), self.clock)

    def suffer(self, faults: dict[str, Any]) -> None:
        self.site.sandbox.faults.replace(faults)

    def try_once(self, wish: Wish = NEWS) -> bool:
        """Ask, wait and land; whether all went well. What went wrong is kept in words."""
        lake, well = self.lake, True
        try:
            (connection,) = lake.connections()
            asked = start_exports(lake, connection, [DAY], wish, ask_again=True)
            ended = wait_for_exports(lake, [export.export_id for export in asked])
        except EcwError as error:
            self.messages.append(str(error))
            return False
        for export in ended:
            well &= self._land(lake, export)
        return well

    def _land(self, lake: Lake, export: Export) -> bool:
        failed = 0
        try:
            landing.land_side_files(lake, require_arrived(export))
        except EcwError as error:
            self.messages.append(str(error))
            return False
        for one in lake.ledger.types(export.export_id):
            try:
                landing.land_type(lake, export, one.resource_type)
            except EcwError as error:
                failed += 1
                self.messages.append(str(error))
        return not failed

    def exports(self) -> list[Export]:
        return self.lake.ledger.exports()

    def landed(self) -> set[str]:
        """``Type/id`` of every line that has landed, of all exports."""
        lake = self.lake
        return {
            resource
            for export in lake.ledger.exports()
            for one in lake.ledger.types(export.export_id)
            if one.state == "landed"
            for _, path in landing.screened_files(lake, export, one.resource_type)
            for resource in _resources(path)
        }

    def started(self) -> int:
        """How many exports the server started."""
        return len(self.site.stats()["exports"])

    def fetches(self) -> list[int]:
        return [use["count"] for use in self.site.stats()["files"].values()]

    def struck(self) -> dict[str, int]:
        found: dict[str, int] = self.site.stats()["by_fault"]
        return found


class _Line(msgspec.Struct):
    resourceType: str  # noqa: N815 - FHIR's name
    id: str


def _resources(path: Path) -> Iterator[str]:
    for _, line in numbered_lines(path):
        one = msgspec.json.decode(line, type=_Line)
        yield f"{one.resourceType}/{one.id}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("faults")
    with site(folder, data=small_data(folder / "lines"), export_seconds=0.0) as made:
        yield made


@pytest.fixture
def visit(shared: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    """The one server of this file, with nothing seen or kept of it yet."""
    monkeypatch.setenv("ECW_DATA", str(tmp_path / "data"))
    shared.sandbox.faults.replace({})
    httpx.post(f"{shared.sandbox.server_url}/sandbox/reset-stats").raise_for_status()
    yield Visit(shared, monday_clock())
    shared.sandbox.faults.replace({})


@dataclass(frozen=True)
class Case:
    """A fault and its end.

    Args:
        says: words of each failure on the way, in order; none where nothing failed.
        tries: how often the operator runs it.
        lands: whether the truth has landed then; if not, nothing has.
        started: how many exports the server started.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    tries: int = 1
    lands: bool = True
    started: int = 1

    def __str__(self) -> str:
        return "-".join([self.name, *(str(value) for value in self.parameters.values())])


def _waits(form: str) -> Case:
    return Case("absurd_retry_after", {"form": form})


BUSY = "is busy (HTTP 503) → run again in some minutes"
BROKE = "the connection to 127.0.0.1 broke"
CUT = "00000.ndjson.gz is cut short"
NO_INSTANT = "the export's manifest has no usable transactionTime"

CASES = [
    # --- any request
    Case("lost_reply", {"on": "token", "times": 2}),
    Case("lost_reply", {"on": "kickoff", "times": 1}, (BROKE,), tries=2, started=2),
    Case("lost_reply", {"on": "status", "times": 4}),
    Case("lost_reply", {"on": "file", "times": 3}),
    *map(_waits, ("epoch_seconds", "epoch_milliseconds", "http_date", "past_date", "negative")),
    *map(_waits, ("huge", "fraction", "garbage", "")),
    Case("no_rate_headers"),
    Case("throttled", {"on": "kickoff", "times": 2, "retry_after": "30"}),
    Case("throttled", {"on": ["token", "status", "file"], "times": 3, "rate_headers": True}),
    Case("calendar_minute", {"limit": 1}, ("is busy (HTTP 429)",), lands=False, started=0),
    Case("error_status", {"on": "token"}, (BUSY,), lands=False, started=0),
    Case("error_status", {"on": "kickoff", "times": 2}),
    Case("error_status", {"on": "kickoff", "times": 2, "status": 500}),
    Case(
        "error_status",
        {"on": "kickoff", "times": 1, "status": 500, "code": "exception"},
        ("the export was refused: HTTP 500 (exception)",),
        tries=2,
    ),
    Case("error_status", {"on": "status", "times": 3}),
    Case("error_status", {"on": "status", "times": 3, "status": 500}),
    Case(
        "error_status",
        {"on": "status", "times": 1, "status": 500, "code": "exception"},
        ("the export failed at the server: HTTP 500 (exception)",),
        tries=2,
        started=2,
    ),
    Case("error_status", {"on": "file", "times": 3}),
    Case("html_401", {"on": "kickoff"}, ("refused: HTTP 401",), lands=False, started=0),
    Case("html_401", {"on": "status", "times": 2}),
    Case("html_401", {"on": "file", "times": 2}, ("answered 401 instead",), tries=2),
    Case("expired_token"),
    Case("expired_token", {"on": "status"}),
    Case("expired_token", {"on": "file"}),
    # --- tokens
    Case("access_denied", {}, ("refused the credentials",), lands=False, started=0),
    Case("refused_scopes"),
    Case("scope_spelling"),
    Case("scope_spelling", {"suffixes": ["rs"]}),
    Case("scope_spelling", {"suffixes": ["r"], "resource_types": ["Practitioner"]}),
    Case("token_lifetime", {"seconds": 31}),
    Case("token_lifetime", {"announced": False}),
    Case("fewer_scopes"),
    # --- kick-offs
    Case("affinity_cookie"),
    Case("refused_parameters"),
    Case("refused_parameters", {"parameters": ["_type"]}),
    Case("strict_since"),
    Case("strict_prefer"),
    Case("bad_group"),
    # --- status
    Case("progress_text"),
    Case("empty_body_first"),
    Case("lost_job", {}, started=2),
    Case(
        "lost_job",
        {"times": 10},
        ("failed: the server no longer knows this export",),
        tries=2,
        started=3,
    ),
    # --- manifests
    Case("relative_urls"),
    Case("escaped_urls"),
    Case("manifest_content_type"),
    Case("manifest_content_type", {"value": ""}),
    Case("paging_loop", {}, ("run in a circle after page 1",), lands=False),
    Case("paging_loop", {"times": 1}, ("run in a circle after page 1",), tries=2),
    Case("manifest_pages"),
    Case("missing_keys"),
    Case("missing_keys", {"keys": ["transactionTime"], "times": 1}, (NO_INSTANT,), 2, started=2),
    Case("missing_counts"),
    Case("wrong_counts"),
    Case("wrong_counts", {"by": -1}),
    Case("wrong_type"),
    Case("odd_transaction_time", {"form": "offset"}),
    Case("odd_transaction_time", {"form": "space"}),
    Case("odd_transaction_time", {"form": "no_zone"}, (NO_INSTANT,), lands=False),
    Case("odd_transaction_time", {"form": "date"}, (NO_INSTANT,), lands=False),
    Case("odd_transaction_time", {"form": "soon"}, (NO_INSTANT,), lands=False),
    Case("expired_links"),
    Case("expired_links", {"status": 404}),
    Case("expired_links", {"resource_type": "Practitioner"}),
    Case("organized_output"),
    Case("organized_output", {"keeps_type": False}),
    Case("deleted_overlap"),
    Case("error_only", {}, ("brought no resources, only issues: 1 error",) * 2, lands=False),
    Case("error_only", {"keeps_output": True}),
    # --- files
    Case("signed_links"),
    Case("no_file_headers"),
    Case("range_ignored"),
    Case("reset_mid_file", {"times": 1}),
    Case("reset_mid_file", {}, (BROKE,) * 2, lands=False),
    Case("cut_without_length", {"times": 1}),
    Case("cut_without_length", {}, (CUT, "cut short"), lands=False),
    Case("cut_body", {"times": 1}),
    Case("cut_body", {}, (CUT, "cut short"), lands=False),
    Case("no_final_newline"),
    Case("byte_order_mark"),
    Case("crlf"),
    Case("duplicate_lines"),
    Case("long_line", {"megabytes": 3}),
    # --- clocks
    Case("clock_skew"),
    Case("clock_skew", {"minutes": -90}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_ends_as_the_table_says(visit: Visit, case: Case) -> None:
    visit.suffer({case.name: case.parameters})

    tried = [visit.try_once() for _ in range(case.tries)]

    assert len(visit.messages) == len(case.says), visit.messages
    for message, words in zip(visit.messages, case.says, strict=True):
        assert words in message
        assert " → " in message
    assert tried[-1] is case.lands
    assert visit.landed() == (TRUTH if case.lands else set())
    assert visit.started() == case.started


# --- faults whose end needs more words ----------------------------------------------------------


def test_every_fault_has_its_place_in_this_file() -> None:
    told_below = {
        "already_running",
        "bad_utf8",
        "frozen_progress",
        "gzip_bomb",
        "redirected_files",
        "slow_body",
        "unknown_group_is_empty",
    }

    of_exports = {
        name
        for name, fault in FAULTS.items()
        if not {"fhir", "attachment"}.issuperset(
            fault.kinds
        )  # see test_searching, test_attachments
    }

    assert {case.name for case in CASES} | told_below == of_exports


def _somebody_elses(visit: Visit, **parameters: str) -> Visitor:
    """A visitor of the same client who has just asked for an export."""
    visitor = Visitor(visit.site.sandbox.server_url, httpx.Client()).sign_in()
    visitor.kick_off(_type="Patient,Practitioner", **parameters)
    return visitor


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    """A server whose exports take a while."""
    with site(tmp_path, data=small_data(tmp_path / "lines"), export_seconds=0.4) as made:
        monkeypatch.setenv("ECW_RESOURCE_TYPES", "Patient,Practitioner")
        yield Visit(made, monday_clock())


@pytest.mark.parametrize("url", ["header", "text"])
@pytest.mark.parametrize("status", [409, 400, 429])
def test_an_export_that_runs_already_is_taken_over(slow: Visit, url: str, status: int) -> None:
    slow.suffer({"already_running": {"url": url, "status": status}})
    _somebody_elses(slow).http.close()

    assert slow.try_once()

    assert slow.landed() == TRUTH
    assert slow.started() == 1


def test_an_export_that_runs_nobody_knows_where_is_waited_for(slow: Visit) -> None:
    slow.suffer({"already_running": {}})
    _somebody_elses(slow).http.close()

    assert slow.try_once()

    assert slow.landed() == TRUTH
    assert slow.started() == 2
    assert slow.struck()["already_running"] >= 1


def test_an_export_of_something_else_is_not_taken_for_ours(visit: Visit) -> None:
    with httpx.Client() as http:
        visitor = Visitor(visit.site.sandbox.server_url, http).sign_in()
        other = visitor.kick_off(_type="Practitioner").headers["content-location"]
    lake = visit.lake
    (export,) = start_exports(lake, lake.connections()[0], [DAY])
    lake.ledger.mark_requested(export.export_id, other, "", 1.0, lake.clock.now())

    (ended,) = wait_for_exports(lake, [export.export_id])

    assert "manifest of an export of other types" in ended.error


def test_a_line_that_is_not_utf8_is_kept_apart_and_stops_nothing(visit: Visit) -> None:
    visit.suffer({"bad_utf8": {"resource_type": "Patient"}})

    assert visit.try_once()

    assert visit.landed() == TRUTH - {"Patient/ann"}
    counts = landing.counts_of(visit.lake, visit.exports()[0], "Patient")
    assert (counts.lines_received, counts.lines_quarantined) == (3, 1)


def test_a_redirect_to_another_host_is_followed_only_if_the_host_is_named(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.suffer({"redirected_files": {"asks_for_token": False}})
    assert not visit.try_once()
    assert "sends us to localhost:" in visit.messages[0]
    assert "which is not its own host" in visit.messages[0]
    assert "ECW_FILE_HOSTS" in visit.messages[0]
    monkeypatch.setenv("ECW_FILE_HOSTS", "localhost")

    assert visit.try_once()

    assert visit.landed() == TRUTH
    assert "redirected_files: token received" not in visit.struck()


def test_a_host_that_asks_for_the_token_on_a_redirect_does_not_get_it(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_FILE_HOSTS", "localhost")
    visit.suffer({"redirected_files": {"asks_for_token": True}})

    assert not visit.try_once()

    assert "localhost, where the server sends us for a file, wants a token" in visit.messages[0]
    assert "redirected_files: token received" not in visit.struck()


def test_a_gzip_bomb_is_refused_and_named(visit: Visit) -> None:
    visit.suffer({"gzip_bomb": {"megabytes": 80, "resource_type": "Patient"}})

    assert not visit.try_once()

    assert "unpacks to more than 300 times its size" in visit.messages[0]
    assert visit.landed() == {"Practitioner/doc"}


class Hasty(ManualClock):
    """More than a minute passes at each look."""

    def now(self) -> datetime:
        self.advance(61)
        return super().now()


def test_a_body_that_comes_in_drops_is_broken_off(visit: Visit) -> None:
    lake = visit.lake
    (export,) = start_exports(lake, lake.connections()[0], [DAY])
    wait_for_exports(lake, [export.export_id])
    visit.suffer({"slow_body": {"size_bytes": 8, "pause_seconds": 0.001}})
    hasty = Lake(lake.settings, Hasty(lake.clock.now()))

    with pytest.raises(TemporaryError, match="less than 64 KB a minute"):
        landing.land_type(hasty, lake.ledger.export(export.export_id), "Patient")

    visit.suffer({})
    assert visit.try_once()
    assert visit.landed() == TRUTH


def test_an_export_that_stands_still_is_given_up_and_cancelled(visit: Visit) -> None:
    visit.suffer({"frozen_progress": {}})

    assert not visit.try_once()

    (export,) = visit.exports()
    assert export.error.startswith("not complete after 180 minutes (42% Completed")
    assert visit.site.stats()["by_kind"]["delete"] == 1


@pytest.mark.parametrize("faults", [{}, {"bad_group": {}}, {"unknown_group_is_empty": {}}])
def test_a_group_that_nobody_knows_is_named(
    visit: Visit, faults: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_EXPORT_LEVEL", "group")
    monkeypatch.setenv("ECW_GROUP_ID", "diabetics")
    visit.suffer(faults)

    assert not visit.try_once()

    (said,) = visit.messages
    assert "Group diabetics" in said
    assert "ECW_GROUP_ID" in said


def test_the_issues_of_an_export_are_counted_by_severity(visit: Visit) -> None:
    visit.suffer({"error_only": {"keeps_output": True}})

    assert visit.try_once()

    assert issues_by_severity(visit.lake, visit.exports()[0]) == {"error": 1}


def test_a_lost_kick_off_parameter_is_on_record(visit: Visit) -> None:
    assert visit.try_once()
    visit.suffer({"refused_parameters": {"parameters": ["_since"]}})
    lake = visit.lake

    (export,) = start_exports(lake, lake.connections()[0], ["2026-01-06"])
    assert (export.since, export.error) == (
        None,
        "the server does not take _since: HTTP 400 (not-supported)",
    )
    (ended,) = wait_for_exports(lake, [export.export_id])

    assert ended.has_arrived
    assert ended.kick_offs == 1


def test_an_empty_export_of_everything_is_a_mistake_somewhere(visit: Visit) -> None:
    """To believe it would close every resource that is known."""
    visit.suffer({"error_only": {}, "missing_keys": {}})

    assert not visit.try_once()
    assert "the export is empty, without even a patient" in visit.messages[-1]

    visit.suffer({})
    assert visit.try_once()
    assert visit.landed() == TRUTH


def test_outcomes_that_are_none_count_as_errors(visit: Visit) -> None:
    visit.suffer({"error_only": {}})
    lake = visit.lake
    (connection,) = lake.connections()
    (export,) = start_exports(lake, connection, [DAY])
    (export,) = wait_for_exports(lake, [export.export_id])
    visit.suffer({})  # now the link brings patients

    with pytest.raises(EcwError, match="only issues: 3 error"):
        landing.land_type(lake, export, "Patient")
