"""Old received files go where nothing current needs them, and nothing current goes with them."""

import gzip
import shutil
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import BadDataError, EcwError
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.exports import start_exports
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline.stages.pruning import old_exports, prune
from ecw_pipeline.stages.sync import bring_home
from ecw_pipeline.warehouse.database import read_published
from ecw_pipeline_tests.builders import monday_clock
from ecw_pipeline_tests.odd_server import raw
from ecw_pipeline_tests.pipeline.harness import Site, site
from ecw_pipeline_tests.stages.child import KILLED, TYPES, SmallLake, in_child
from ecw_pipeline_tests.stages.interrupted import all_rows, write_data
from ecw_pipeline_tests.stages.practice import practice, write_lines
from ecw_pipeline_tests.stages.proxy import body_of

FOLD, PUBLISH = "ecw_pipeline.warehouse.merge.fold", "ecw_pipeline.warehouse.publish.publish"
# The last of the steps is where the work is killed.
STEPS = {
    "marked": ("after ecw_pipeline.ledger.Ledger.mark_pruned",),
    "thrown away": ("after ecw_pipeline.stages.rebuilding._throw_away",),
    "half loaded": (f"after {FOLD}",),
    "loaded": (f"before {PUBLISH}",),
    "published": (f"after {PUBLISH}",),
    "half gone": ("after shutil.rmtree",),
}
OF_A_ROWS_ORIGIN = "EXCLUDE (export_id, source_file, source_line)"


def _lake() -> SmallLake:
    """A lake two months after the last export."""
    lake = SmallLake(Settings.from_environment(), monday_clock())
    last = max(export.known_at for export in lake.ledger.exports() if export.transaction_time)
    return SmallLake(lake.settings, ManualClock(last + timedelta(days=60)))


def _pull(day: str, *, is_full: bool = False) -> Export:
    lake = SmallLake(Settings.from_environment(), monday_clock())
    wish = Wish(is_full=True) if is_full else Wish()
    (asked,) = (e for c in lake.connections() for e in start_exports(lake, c, [day], wish))
    bring_home(lake, [asked.export_id])
    return lake.ledger.export(asked.export_id)


def _prune(days: int) -> None:
    prune(_lake(), days, [])


def _source(folder: Path) -> Path:
    """The lines of `write_data` that can be read."""
    write_data(folder)
    people = (folder / "Patient.ndjson").read_text("utf-8").splitlines()
    return write_lines(folder, "Patient", *people[:-1])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything, changes, everything again, changes; and a copy from before the second time."""
    folder = tmp_path_factory.mktemp("prune")
    with (
        site(folder, data=_source(folder / "lines"), export_seconds=0.0) as one,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("ECW_RESOURCE_TYPES", ",".join(TYPES))
        _pull("2026-01-05", is_full=True)
        one.advance(days=10)
        _pull("2026-01-15")
        shutil.copytree(one.data, folder / "early")
        one.advance(days=1)
        _pull("2026-01-16", is_full=True)
        one.advance(days=1)
        _pull("2026-01-17")
        yield one


@pytest.fixture
def data(filled: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all that was pulled, to prune."""
    monkeypatch.setenv("ECW_DATA", str(tmp_path / "data"))
    return Path(shutil.copytree(filled.data, tmp_path / "data"))


def _landed(data: Path) -> list[str]:
    return sorted(path.name for path in data.glob("landing/*/*"))


def _current(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of `core`, whatever export they are from."""
    with read_published(data / "warehouse.duckdb") as connection:
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'"
        ).fetchall()
        return {
            name: connection.execute(
                f"SELECT * {OF_A_ROWS_ORIGIN} FROM core.{name} ORDER BY ALL"
            ).fetchall()
            for (name,) in names
        }


def _mentions(data: Path, export_ids: set[str]) -> set[str]:
    """The tables of the warehouse that name one of the exports."""
    with read_published(data / "warehouse.duckdb") as connection:
        places = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_columns()"
            " WHERE column_name = 'export_id' AND NOT internal"
        ).fetchall()
        return {
            place
            for (place,) in places
            for row in connection.execute(f"SELECT DISTINCT export_id FROM {place}").fetchall()
            if row[0] in export_ids
        }


def test_what_nothing_current_needs_goes_and_all_that_is_current_stays(data: Path) -> None:
    first, changes, full, newest = _lake().ledger.exports()
    current = _current(data)
    assert len(current["patient"]) > 1
    errors: list[EcwError] = []

    gone = prune(_lake(), 1, errors)

    assert [one.export.export_id for one in gone] == [first.export_id, changes.export_id]
    assert errors == []
    assert _landed(data) == sorted([full.export_id, newest.export_id])
    assert {path.stem for path in data.glob("flat/*/*")} <= {full.export_id, newest.export_id}
    assert _mentions(data, {first.export_id, changes.export_id}) == {"ops.export"}
    assert _current(data) == current


def test_the_next_export_asks_from_where_the_last_one_ended(data: Path) -> None:
    *_, newest = _lake().ledger.exports()
    _prune(1)

    assert _pull("2026-01-18").since == newest.known_at


def test_what_is_not_old_stays(data: Path) -> None:
    landed = _landed(data)

    assert prune(_lake(), 90, []) == []
    assert _landed(data) == landed


def test_without_a_complete_export_since_all_is_needed(
    filled: Site, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = Path(shutil.copytree(filled.data.parent / "early", tmp_path / "early"))
    monkeypatch.setenv("ECW_DATA", str(early))
    landed = _landed(early)

    assert [one.needed_for for one in old_exports(_lake(), 1)] == [("Condition", "Patient")] * 2
    assert prune(_lake(), 1, []) == []
    assert _landed(early) == landed


@pytest.mark.parametrize("refused", ["{", '{"resourceType":"Patient","id":"fay","name":"Fay"}'])
def test_a_refused_line_may_be_of_what_only_an_old_export_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    monkeypatch.setenv("ECW_RESOURCE_TYPES", ",".join(TYPES))
    lines = _source(tmp_path / "lines")
    with (lines / "Patient.ndjson").open("a", encoding="utf-8") as patients:
        patients.write(f"{refused}\n")
    with site(tmp_path, data=lines, export_seconds=0.0):
        for day in ("2026-01-05", "2026-01-06"):
            _pull(day, is_full=True)
        first, _ = old_exports(_lake(), 1)

    assert first.needed_for == ("Patient",)


def test_nothing_is_taken_away_where_a_file_that_stays_is_damaged(data: Path) -> None:
    *_, newest = _lake().ledger.exports()
    (received,) = data.glob(f"landing/*/{newest.export_id}/Patient/*")
    received.write_bytes(b"{}\n")
    landed, rows = _landed(data), all_rows(data)

    with pytest.raises(BadDataError, match="no longer what was received"):
        _prune(1)

    assert _landed(data) == landed
    assert [one.state for one in _lake().ledger.exports()] == ["loaded"] * 4
    assert all_rows(data) == rows


@pytest.fixture(scope="module")
def unkilled(filled: Site, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("unkilled") / "data"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ECW_DATA", str(shutil.copytree(filled.data, folder)))
        _prune(1)
    return all_rows(folder), _landed(folder)


@pytest.mark.parametrize("name", STEPS)
def test_a_killed_prune_is_finished_by_the_next(data: Path, name: str, unkilled: Any) -> None:
    assert in_child(partial(_prune, 1), STEPS[name]).exit_code == KILLED
    if name != "half gone":
        assert len(_landed(data)) == 4, "a file goes before readers have what is made without it"

    _prune(1)

    assert (all_rows(data), _landed(data)) == unkilled


@pytest.mark.parametrize("name", ["marked", "half loaded"])
def test_after_a_killed_prune_a_load_holds_nothing_of_what_is_to_go(
    data: Path, name: str, unkilled: Any
) -> None:
    assert in_child(partial(_prune, 1), STEPS[name]).exit_code == KILLED

    lake = _lake()
    bring_home(lake, [lake.ledger.exports()[-1].export_id])

    assert all_rows(data) == unkilled[0]


def test_deletions_of_a_type_need_a_complete_export_of_that_type_since(tmp_path: Path) -> None:
    def of_patients(reply: httpx.Response) -> bytes:
        body = body_of(reply)
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        return raw(200, plain.replace(b"Condition/", b"Patient/"))

    with practice(tmp_path, data=_source(tmp_path / "lines")) as one:
        one.set("ECW_RESOURCE_TYPES", "Condition")
        one.proxy.spoil("deleted", of_patients)
        for wish in (Wish(is_full=True), Wish(), Wish(is_full=True)):
            one.pull(wish=wish, ask_again=True)
            one.site.advance(days=5)
        before, changes, _ = old_exports(_lake(), 1)

    assert (before.needed_for, changes.needed_for) == ((), ("Patient",))
