"""Everything after landing can be thrown away and made anew: same rows, no request."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.errors import BadDataError, ConfigurationError, EcwError
from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.stages.loading import build_marts, load_exports
from ecw_pipeline.stages.rebuilding import rebuild, rebuild_table
from ecw_pipeline.warehouse.database import working_warehouse
from ecw_pipeline_tests.pipeline.harness import Site, site, table_dump
from ecw_pipeline_tests.stages.practice import practice, small_data

# When a load ended, and how long it took, is not a fact of the data.
OF_THE_LOAD = "UPDATE ops.load SET loaded_at = NULL, load_seconds = NULL"
PATIENCE_SECONDS = 60.0
REBUILD = """
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.rebuilding import rebuild

rebuild(Lake.from_environment(), [])
"""

Dump = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three exports: everything, ten days of changes and deletions, and everything again."""
    with (
        site(tmp_path_factory.mktemp("rebuild"), patients=6) as one,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("ECW_RESOURCE_TYPES", "Patient,Task")
        one.sync("2026-01-05")
        one.advance(days=10)
        one.sync("2026-01-15")
        one.advance(days=1)
        one.sync("2026-01-16", is_full=True)
        yield one


@pytest.fixture(scope="module")
def before(filled: Site) -> Dump:
    rows = _rows(filled)
    assert rows["history.patient"], "nothing was closed"
    assert rows["history.task"]
    return rows


def _rows(one: Site) -> Dump:
    """Every row of `core`, `history` and the marts."""
    with working_warehouse(one.lake.folder.working_warehouse) as connection:
        connection.execute(OF_THE_LOAD)
    errors: list[EcwError] = []
    build_marts(one.lake, built_in_marts().values(), errors)
    assert errors == []
    return table_dump(one.data, "core", "history", "marts")


def _requests(one: Site) -> int:
    return len(one.stats()["files"]) + len(one.stats()["exports"])


def test_a_rebuild_gives_the_same_rows_without_a_request_and_says_how_far_it_is(
    filled: Site, before: Dump
) -> None:
    asked, errors = _requests(filled), list[EcwError]()
    ends: dict[str, tuple[int, int]] = {}

    loaded = rebuild(filled.lake, errors, lambda name, *done: ends.update({name: done}))

    assert len({one.export_id for one in loaded}) == 3
    assert (_rows(filled), errors) == (before, [])
    assert _requests(filled) == asked
    assert list(ends) == ["check files", "flatten", "load", "marts"]
    assert all(done == total for done, total in ends.values())


def test_a_rebuild_needs_received_files_only(filled: Site, before: Dump) -> None:
    folder = filled.lake.folder
    for made in [folder.working_warehouse, *folder.landing.glob("*/*/screened/*/*")]:
        made.write_bytes(b"damaged")
    for made in folder.flat_tables.glob("*/*"):
        made.write_bytes(b"damaged")

    rebuild(filled.lake, [])

    assert _rows(filled) == before


def test_one_table_is_made_anew_and_no_other(filled: Site, before: Dump) -> None:
    patients = filled.lake.folder.flat_tables / "patient"
    others = filled.lake.folder.flat_tables / "task"
    for made in (*patients.glob("*"), *others.glob("*")):
        made.chmod(0o400)
    with working_warehouse(filled.lake.folder.working_warehouse) as connection:
        connection.execute("DELETE FROM core.patient; UPDATE history.patient SET gender = 'x'")

    rebuild_table(filled.lake, "patient", [])

    assert _rows(filled) == before
    assert {path.stat().st_mode & 0o777 for path in patients.glob("*")} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in others.glob("*")} == {0o400}


def test_a_kill_in_the_middle_leaves_readers_the_old_copy_and_is_resumed(
    filled: Site, before: Dump
) -> None:
    published = filled.lake.folder.warehouse.stat().st_ino
    promise = filled.lake.folder.working_warehouse.with_suffix(".unpublished")
    process = subprocess.Popen([sys.executable, "-W", "error", "-c", REBUILD], env=dict(os.environ))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (promise.exists() and promise.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert filled.lake.folder.warehouse.stat().st_ino == published
    steps: list[str] = []

    rebuild(filled.lake, [], lambda name, *_: steps.append(name))

    assert "check files" not in steps, "it begins again"
    assert _rows(filled) == before


def test_marts_alone_are_not_built_from_a_warehouse_that_is_half_filled(
    filled: Site, before: Dump
) -> None:
    def interrupt(name: str, done: int, _total: int) -> None:
        if (name, done) == ("load", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(filled.lake, [], interrupt)

    build_marts(filled.lake, [built_in_marts()["patients_by_age_band"]], [])

    assert _rows(filled) == before


def test_a_load_into_a_new_warehouse_takes_no_mart_from_readers(filled: Site) -> None:
    marts = set(table_dump(filled.data, "marts"))
    filled.lake.folder.working_warehouse.unlink()

    load_exports(filled.lake)

    assert set(table_dump(filled.data, "marts")) == marts


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda path: path.write_bytes(b"{}\n"), "is no longer what was received"),
        (lambda path: path.unlink(), "is gone"),
    ],
    ids=["changed", "removed"],
)
def test_a_received_file_that_is_not_as_received_stops_a_rebuild_before_it_begins(
    tmp_path: Path, spoil: Any, complaint: str
) -> None:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as one:
        one.set("ECW_RESOURCE_TYPES", "Patient,Practitioner")
        one.pull()
        lake = one.lake
        (received,) = lake.folder.landing.glob("*/*/Patient/*")
        spoil(received)

        for again in (lambda: rebuild(lake, []), lambda: rebuild_table(lake, "patient", [])):
            with pytest.raises(BadDataError, match=complaint) as refused:
                again()
            assert str(received) in refused.value.message
            assert "restore it from a backup" in refused.value.next_step
        rebuild_table(lake, "practitioner", [])
        assert one.rows("SELECT count(*) FROM core.patient") == [(3,)]
        assert one.load() == []


def test_with_nothing_landed_there_is_nothing_to_rebuild_from(tmp_path: Path) -> None:
    with practice(tmp_path, has_tables=False) as one:
        with pytest.raises(ConfigurationError, match="no export has landed"):
            rebuild(one.lake, [])
        with pytest.raises(ConfigurationError, match="no Patient has landed"):
            rebuild_table(one.lake, "patient", [])
        with pytest.raises(ConfigurationError, match="no table 'patients'") as refused:
            rebuild_table(one.lake, "patients", [])

        assert "patient?" in refused.value.next_step
        assert not one.lake.folder.state.exists()
