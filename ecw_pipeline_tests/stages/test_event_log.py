"""The log of an export says what the community's tools expect, and nothing that is secret."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.bulk_export.event_log import bare_url
from ecw_pipeline_tests.builders import mode_of
from ecw_pipeline_tests.stages.practice import Practice, practice, small_data
from ecw_pipeline_tests.stages.proxy import status

# The event list of the SMART bulk data client, with the keys of each event's detail.
DETAILS = {
    "kickoff": {
        "exportUrl",
        "errorCode",
        "errorBody",
        "softwareName",
        "softwareVersion",
        "softwareReleaseDate",
        "fhirVersion",
        "requestParameters",
    },
    "status_progress": {"body", "xProgress", "retryAfter"},
    "status_complete": {"transactionTime"},
    "manifest_complete": {
        "transactionTime",
        "totalOutputFileCount",
        "totalDeletedFileCount",
        "totalErrorFileCount",
    },
    "status_error": {"body", "code", "message"},
    "download_request": {"fileUrl", "itemType", "resourceType"},
    "download_complete": {"fileUrl", "resourceCount", "fileSize"},
    "download_error": {"fileUrl", "body", "code", "message"},
    "export_complete": {"files", "resources", "bytes", "attachments", "duration"},
}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Practice]:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as made:
        yield made


def log_of(one: Practice) -> tuple[Path, list[dict[str, Any]]]:
    (path,) = one.site.data.glob("landing/practice/*/log.ndjson")
    return path, [json.loads(line) for line in path.read_text().splitlines()]


def assert_valid(events: list[dict[str, Any]]) -> None:
    for event in events:
        assert set(event) == {"exportId", "timestamp", "eventId", "eventDetail"}
        assert datetime.fromisoformat(event["timestamp"]).tzinfo
        assert set(event["eventDetail"]) == DETAILS[event["eventId"]]
    assert len({event["exportId"] for event in events}) == 1


def test_a_good_export_is_told_from_kick_off_to_its_last_file(one: Practice) -> None:
    assert one.land(*one.arrive()) == {}

    path, events = log_of(one)
    assert_valid(events)
    assert [event["eventId"] for event in events if event["eventId"] != "status_progress"] == [
        "kickoff",
        "status_complete",
        "manifest_complete",
        *["download_request", "download_complete"] * 2,
        "export_complete",
    ]
    last = events[-1]["eventDetail"]
    assert (last["files"], last["resources"]) == (2, 4)
    assert mode_of(path) == 0o600


def test_what_goes_wrong_is_told_too(one: Practice) -> None:
    one.proxy.spoil("/fhir/r4/$export?", status(503), times=1)
    refused_file = {"on": "file", "status": 403, "resource_type": "Practitioner"}
    one.site.sandbox.faults.replace(
        {"signed_links": {}, "lost_job": {}, "error_status": refused_file}
    )

    assert set(one.land(*one.arrive())) == {"Practitioner"}

    path, events = log_of(one)
    assert_valid(events)
    told = [event["eventId"] for event in events]
    assert {"status_error", "download_error"} <= set(told)
    assert "export_complete" not in told
    refused = next(event["eventDetail"] for event in events if event["eventId"] == "kickoff")
    assert refused["errorCode"] == 503
    text = path.read_text()
    token = next(one.site.data.glob("state/tokens/*.json")).read_text()
    assert json.loads(token)["value"] not in text
    assert [part for part in ("?", "signature", "Bearer", '"patient"') if part in text] == []


def test_a_url_is_told_without_query_and_credentials() -> None:
    assert bare_url("https://me:secret@a.org:8443/f?signature=1&patient=ann#x") == (
        "https://a.org:8443/f"
    )
