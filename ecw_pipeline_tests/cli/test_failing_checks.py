"""What `ecw status` tells of asset checks, against the records that Dagster really writes."""

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ecw_pipeline.cli.failing_checks import failing_checks
from ecw_pipeline_tests.cli.command import Place

CHECKS = ("rows_sound", "schema_steady", "resources_valid")
QUIET = {"telemetry": {"enabled": False}}
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def judged(storage: Path, failing: dict[str, dg.AssetCheckSeverity]) -> None:
    """Let Dagster judge a table, whose checks pass but for those that are named."""

    @dg.multi_asset(
        specs=[dg.AssetSpec(["core", "patient"])],
        check_specs=[dg.AssetCheckSpec(name, asset=["core", "patient"]) for name in CHECKS],
    )
    def core():  # type: ignore[no-untyped-def]
        yield dg.MaterializeResult(
            asset_key=["core", "patient"],
            check_results=[
                dg.AssetCheckResult(
                    check_name=name,
                    passed=name not in failing,
                    severity=failing.get(name, ERROR),
                    metadata={"stray_rows": 2, "share": 0.12345678, "paths": "name.given"},
                )
                for name in CHECKS
            ],
        )

    storage.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.local_temp(str(storage), overrides=QUIET) as instance:
        assert dg.materialize([core], instance=instance).success


def test_the_checks_that_failed_last_are_told_with_their_figures(tmp_path: Path) -> None:
    judged(tmp_path, {"rows_sound": ERROR, "resources_valid": ERROR})
    judged(tmp_path, {"rows_sound": ERROR, "schema_steady": WARN})

    failing = failing_checks(tmp_path)
    found = [(one.severity, one.in_words.split(" (")[0]) for one in failing]
    today = f"{datetime.now(UTC):%Y-%m-%d}"

    assert found == [
        ("ERROR", "core/patient rows_sound: share 0.1235, stray rows 2"),
        ("WARN", "core/patient schema_steady: share 0.1235, stray rows 2"),
    ]
    assert {one.judged_at[:10] for one in failing} <= {today, f"{datetime.now(UTC):%Y-%m-%d}"}


def test_status_shows_them(place: Place) -> None:
    judged(place.data / "dagster", {"rows_sound": ERROR, "schema_steady": WARN})

    told = place.run("status").stdout
    document = json.loads(place.run("status", "--json").stdout)

    assert "check fails core/patient rows_sound: share 0.1235, stray rows 2" in told
    assert "check warns core/patient schema_steady: share 0.1235" in told
    assert [one["check"] for one in document["failing_checks"]] == ["rows_sound", "schema_steady"]


def test_without_dagsters_records_nothing_is_said_of_checks(tmp_path: Path) -> None:
    assert failing_checks(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"not a database at all"])
def test_records_that_cannot_be_read_are_a_problem_and_no_reason_to_fail(
    place: Place, content: bytes
) -> None:
    index = place.data / "dagster" / "history" / "runs" / "index.db"
    index.parent.mkdir(parents=True)
    index.write_bytes(content)

    told = place.run("status")
    (problem,) = json.loads(place.run("status", "--json").stdout)["problems"]

    assert told.exit_code == 0
    assert f"problem {problem}" in told.stdout
    assert problem.startswith(f"Dagster's records in {index} do not tell which checks fail: ")
