"""Killed anywhere, the next run continues: nothing twice, nothing lost."""

import random
import signal
from pathlib import Path

import pytest

from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline_tests.soak import IS_SOAK, tries
from ecw_pipeline_tests.stages.child import KILLED, sync
from ecw_pipeline_tests.stages.interrupted import NEXT_DAY, Prepared, Whole, all_rows

INSTANTS = tries(10, in_soak=100)

EXPORTS, CLIENT = "ecw_pipeline.stages.exports", "ecw_pipeline.bulk_export.client.BulkExportClient"
STORE, SCREEN = (
    "ecw_pipeline.bulk_export.download._store",
    "ecw_pipeline.landing.landing.screen_file",
)
FLATTEN = "ecw_pipeline.stages.flattening_together.write_together"
FOLD, LOAD = "ecw_pipeline.warehouse.merge.fold", "ecw_pipeline.stages.loading._load_export"
IN_LOAD = (f"before {LOAD}", f"after {FOLD}", f"after {FOLD}")
PUBLISH = "ecw_pipeline.warehouse.publish.publish"
# The last of the steps is where the run is killed.
STEPS: dict[str, tuple[str, ...]] = {
    "intent": ("after ecw_pipeline.ledger.Ledger.intend_export",),
    "request sent": (f"before {CLIENT}.kick_off", "before socket.recv"),
    "reply received": (f"after {CLIENT}.kick_off",),
    "mid-file": (f"before {STORE}", "after BufferedWriter.write"),
    "rename": (f"before {STORE}", "after posix.replace"),
    "screen": (f"after {SCREEN}",),
    "flatten": (f"after {FLATTEN}",),
    "merge": (f"after {FOLD}",),
    "commit": (*IN_LOAD, "after _duckdb.commit"),
    "copy": (f"before {PUBLISH}", "after posix.sendfile"),
    "replace": (f"before {PUBLISH}", "after posix.replace"),
}
MORE_STEPS: dict[str, tuple[str, ...]] = {
    "about to ask": ("after ecw_pipeline.ledger.Ledger.mark_kick_off",),
    "reply written down": (f"after {EXPORTS}._kick_off",),
    "manifest received": (f"after {CLIENT}.poll",),
    "manifest kept": ("before ecw_pipeline.stages.manifests.keep_manifest", "after posix.replace"),
    "deletions read": ("after ecw_pipeline.landing.landing.read_deletions",),
    "before rename": (f"before {STORE}", "before posix.replace"),
    "mid-screen": (f"before {SCREEN}", "after BufferedWriter.write"),
    "before the flat file's rename": (f"before {FLATTEN}", "before posix.replace"),
    "between two flat files": (f"before {FLATTEN}", "after posix.replace"),
    "mid-merge": ("after ecw_pipeline.warehouse.versions.record_versions",),
    "before commit": (*IN_LOAD, "before _duckdb.commit"),
    "load recorded": (f"after {LOAD}",),
    "before replace": (f"before {PUBLISH}", "before posix.replace"),
    "mart built": ("after ecw_pipeline.warehouse.mart_runner.build_mart",),
}
KILLS = [(name, False) for name in STEPS]
if IS_SOAK:
    STEPS |= MORE_STEPS
    KILLS = [(name, is_first) for name in STEPS for is_first in (False, True)]
    KILLS.remove(("deletions read", True))  # a first export has none
# The server may have heard what has no reply on record: nobody can tell, so it is asked once more.
UNCERTAIN = ("about to ask", "request sent", "reply received")


def _landed_whole(data: Path) -> set[Path]:
    """The received files that have their final names."""
    return {file for file in data.glob("landing/*/*/*/*.ndjson*") if file.suffix != ".part"}


def _assert_resumes(prepared: Prepared, data: Path, unkilled: Whole) -> Export:
    """Run again: rows, files fetched and exports started are as if nothing had happened.

    Only a file in flight is fetched again; only on record may there be a second export.
    """
    whole = _landed_whole(data)
    ending = sync(NEXT_DAY)

    assert ending.exit_code == 0, ending.said
    assert all_rows(data) == unkilled.rows
    ledger, seen = Lake.from_environment().ledger, prepared.site.stats()
    export = ledger.exports()[-1]
    assert 1 <= len(seen["exports"]) <= export.kick_offs <= 2
    folder = data / "landing" / export.connection_id / export.export_id
    for file in ledger.files(export.export_id):
        (count,) = [use["count"] for name, use in seen["files"].items() if name in file.url]
        assert count == 1 or (count == 2 and folder / file.path not in whole)
    return export


@pytest.mark.soak
@pytest.mark.parametrize(("name", "is_first"), KILLS)
def test_a_run_killed_at_a_step_is_continued_by_the_next(
    prepared: Prepared, request: pytest.FixtureRequest, name: str, is_first: bool, tmp_path: Path
) -> None:
    unkilled = request.getfixturevalue("first" if is_first else "after_changes")
    prepared.begin(tmp_path / "data", is_first=is_first)

    assert sync(NEXT_DAY, STEPS[name]).exit_code == KILLED

    export = _assert_resumes(prepared, tmp_path / "data", unkilled)
    assert export.kick_offs == (2 if name in UNCERTAIN else 1)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(INSTANTS))
def test_a_run_killed_at_any_instant_is_continued_by_the_next(
    prepared: Prepared, request: pytest.FixtureRequest, number: int, tmp_path: Path
) -> None:
    is_first = bool(number % 2)
    unkilled = request.getfixturevalue("first" if is_first else "after_changes")
    prepared.begin(tmp_path / "data", is_first=is_first)
    instant = random.Random(number).uniform(0.0, unkilled.cpu_seconds)

    ending = sync(NEXT_DAY, dies_after_cpu_seconds=instant)

    assert ending.exit_code in (-signal.SIGPROF, 0)
    _assert_resumes(prepared, tmp_path / "data", unkilled)
