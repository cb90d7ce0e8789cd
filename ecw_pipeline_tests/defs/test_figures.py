"""What Dagster draws over time, and the summary of each export."""

from typing import Any

import dagster as dg

from ecw_pipeline_tests.defs.small import Unattended
from ecw_pipeline_tests.stages.practice import DAY


def _told(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """What each materialised asset says."""
    return {
        event.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }


def test_an_export_tells_its_minutes_retries_files_and_requests(one: Unattended) -> None:
    one.practice.set("ECW_RATE_WINDOWS", "1000/1s,100000/1day")

    told = _told(one.run("incremental_sync", DAY))

    (export,) = one.exports()
    files = one.practice.lake.ledger.files(export.export_id)
    asked, arrived = told["export_request"], told["export_manifest"]
    assert (asked["exports"], arrived["exports"], arrived["retries"]) == (1, 1, 0)
    assert arrived["files"] == len(files)
    assert export.requested_at is not None
    assert export.completed_at is not None
    took = (export.completed_at - export.requested_at).total_seconds() / 60
    assert arrived["export_minutes"] == round(took, 2) > 0
    assert arrived["requests_used"] > asked["requests_used"] > 0
    assert arrived["requests_used"] + arrived["requests_left"] == 100_000


def test_an_exports_summary_tells_what_was_asked_and_what_comes(one: Unattended) -> None:
    told = _told(one.run("incremental_sync", DAY))

    (export,) = one.exports()
    summary = told["export_manifest"]["summary"]
    assert f"**{export.export_id}** of practice, since the beginning" in summary
    patients = [
        file
        for file in one.practice.lake.ledger.files(export.export_id)
        if file.resource_type == "Patient"
    ]
    announced = sum(file.manifest_count or 0 for file in patients)
    assert announced > 0
    assert f"| Patient | {len(patients)} | {announced} |" in summary
    assert summary.endswith("The server's own issues: none.")


def test_an_issue_of_the_servers_is_in_the_summary(one: Unattended) -> None:
    one.practice.site.sandbox.faults.replace({"error_only": {"keeps_output": True}})

    told = _told(one.run("incremental_sync", DAY))

    assert "The server's own issues: 1 of severity error." in told["export_manifest"]["summary"]


def test_every_step_tells_how_long_it_took(one: Unattended) -> None:
    told = _told(one.run("incremental_sync", DAY))

    for key, name in (
        ("raw/Patient", "seconds"),
        ("flat/patient", "seconds"),
        ("core/patient", "load_seconds"),
    ):
        assert told[key][name] >= 0


def test_the_run_is_tagged_with_its_exports_their_connection_and_since(one: Unattended) -> None:
    one.run("incremental_sync", DAY)

    (export,) = one.exports()
    (run,) = one.instance.get_runs()
    assert run.tags[f"ecw_export/{export.export_id}"] == "practice"
    assert run.tags[f"ecw_since/{export.export_id}"] == "the beginning"


def test_a_landing_run_tells_of_its_export_too(one: Unattended) -> None:
    one.run("request_exports", DAY)

    (request,) = one.wanted_when_complete()

    (export,) = one.exports()
    assert request.tags[f"ecw_export/{export.export_id}"] == "practice"
    assert request.tags[f"ecw_since/{export.export_id}"] == "the beginning"
