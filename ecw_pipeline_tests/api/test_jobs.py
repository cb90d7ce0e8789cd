"""Exports over HTTP: the brief's requests and replies, one by one."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecw_pipeline.api.jobs import BASE, JOBS_URL
from ecw_pipeline_tests.api.harness import CONNECTION, Caller, calling
from ecw_pipeline_tests.soak import tries
from ecw_pipeline_tests.stages.proxy import status


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    """A practice whose exports are landed by the API itself."""
    with calling(tmp_path, lands=True) as made:
        yield made


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Caller]:
    """A practice whose exports take longer than a test."""
    with calling(tmp_path, export_seconds=600.0) as made:
        yield made


def _started(caller: Caller) -> list[dict[str, Any]]:
    exports: list[dict[str, Any]] = caller.practice.site.stats()["exports"]
    return exports


def test_an_export_is_asked_for_and_followed_to_its_files(caller: Caller) -> None:
    job = caller.data(caller.export(exportType="System", resourceTypes=["Patient"]), 202)

    assert job["status"] == "IN_PROGRESS"
    assert job["statusUrl"] == f"{JOBS_URL}/{job['id']}"
    assert {"startedAt", "progress"} <= job.keys()
    done = caller.until(job, "COMPLETED")
    assert done["counts"] == {"Patient": 3}
    assert "completedAt" in done
    assert "progress" not in done
    (url,) = done["outputUrls"]
    lines = caller.get(url)
    assert lines.headers["content-type"].startswith("application/fhir+ndjson")
    assert len(lines.text.splitlines()) == 3


def test_what_the_api_lands_is_published(caller: Caller) -> None:
    caller.until(caller.data(caller.export(), 202), "COMPLETED")

    published = caller.practice.lake.folder.warehouse
    end = time.monotonic() + 60
    while not published.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert caller.practice.rows("SELECT count(*) FROM core.patient") == [(3,)]


def test_the_same_export_is_returned_while_it_is_open(slow: Caller) -> None:
    first = slow.data(slow.export(resourceTypes=["Patient"]), 202)

    second = slow.data(slow.export(resourceTypes=["Patient"]), 202)

    assert second["id"] == first["id"]
    assert len(_started(slow)) == 1


def test_many_who_ask_at_once_get_one_export(slow: Caller) -> None:
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: slow.export(resourceTypes=["Patient"]), range(50)))

    assert {reply.status_code for reply in replies} == {202}
    assert len({reply.json()["data"]["id"] for reply in replies}) == 1
    assert len(_started(slow)) == 1


@pytest.mark.soak
def test_fifty_clients_at_once_are_all_answered(slow: Caller) -> None:
    """They ask for the same, after it, for the list and for what there is, for seconds on end."""
    url, end = str(slow.http.base_url), time.monotonic() + tries(usually=5, in_soak=60)

    def ask(number: int) -> list[float]:
        took = []
        with httpx.Client(base_url=url, timeout=60) as http:
            mine = replace(slow, http=http)
            while time.monotonic() < end:
                began = time.perf_counter()
                job = mine.data(mine.export(resourceTypes=["Patient"]), 202)
                assert mine.data(mine.get(job["statusUrl"]))["status"] == "IN_PROGRESS"
                assert len(mine.data(mine.get(JOBS_URL))) == 1, number
                took.append((time.perf_counter() - began) / 3)
        return took

    with ThreadPoolExecutor(50) as pool:
        seconds = sorted(second for one in pool.map(ask, range(50)) for second in one)

    assert len(seconds) >= 50
    assert len(_started(slow)) == 1
    p99 = 1000 * seconds[int(0.99 * len(seconds))]
    sys.stdout.write(f"{3 * len(seconds)} requests, p99 {p99:.0f} ms\n")  # for pytest -rP


def test_one_that_brings_more_waits(slow: Caller) -> None:
    slow.data(slow.export(resourceTypes=["Patient"]), 202)

    reply = slow.export()

    assert slow.problem(reply, 409)["code"] == "EXPORT_UNDER_WAY"
    assert int(reply.headers["retry-after"]) > 0


def test_since_and_group_reach_the_server(slow: Caller) -> None:
    body = {"exportType": "Group", "groupId": "all-patients", "since": "2024-01-01T00:00:00Z"}

    slow.data(slow.export(**body), 202)

    assert _started(slow)[0]["group"] == "all-patients"
    (export,) = slow.practice.lake.ledger.exports()
    assert (export.level, export.group_id) == ("group", "all-patients")
    assert export.since is not None
    assert export.is_partial


def test_an_export_can_be_cancelled_once(slow: Caller) -> None:
    job = slow.data(slow.export(), 202)

    cancelled = slow.data(slow.http.delete(job["statusUrl"]), 202)

    assert (cancelled["status"], cancelled["errorMessage"]) == ("FAILED", "cancelled on request")
    assert slow.practice.proxy.arrived("DELETE ") == 1
    assert slow.problem(slow.http.delete(job["statusUrl"]), 409)["code"] == "NOT_UNDER_WAY"
    assert slow.data(slow.export(), 202)["id"] != job["id"]


def test_exports_are_listed_newest_first(slow: Caller) -> None:
    first = slow.data(slow.export(), 202)
    slow.http.delete(first["statusUrl"])
    second = slow.data(slow.export(resourceTypes=["Patient"]), 202)

    listed = slow.data(slow.get(JOBS_URL, connectionId=CONNECTION))

    assert [job["id"] for job in listed] == [second["id"], first["id"]]
    assert slow.data(slow.get(JOBS_URL)) == listed


def test_a_sync_counts_what_it_brought(caller: Caller) -> None:
    done = caller.data(caller.sync(resourceTypes=["Practitioner"]))

    assert (done["standardResources"], done["enhancedResources"], done["total"]) == (4, 0, 4)
    assert caller.practice.rows("SELECT count(*) FROM core.patient") == [(3,)]
    again = caller.data(caller.sync())
    assert again["total"] == 0  # nothing has changed since


def test_a_sync_that_takes_long_is_asked_after(tmp_path: Path) -> None:
    with calling(tmp_path, wait_seconds=0.2, export_seconds=2.0) as caller:
        job = caller.data(caller.sync(), 202)

        done = caller.until(job, "COMPLETED")

    assert done["counts"] == {"Patient": 3}


def test_capabilities_say_what_there_is_and_how_fast(caller: Caller) -> None:
    found = caller.data(caller.get(f"{BASE}/capabilities", connectionId=CONNECTION))

    assert found["bulkExport"] is True
    assert found["tasks"] is found["carePlans"] is found["encounters"] is False
    assert "Patient" in found["resourceTypes"]
    assert found["rateLimit"] == found["rateLimits"][0]


def test_a_file_that_failed_fails_its_export_in_words(tmp_path: Path) -> None:
    with calling(tmp_path, lands=True) as caller:
        caller.practice.proxy.spoil("$export-file", status(404))
        job = caller.data(caller.export(resourceTypes=["Patient"]), 202)
        failed = caller.until(job, "FAILED")

    assert failed["errorMessage"].startswith("Patient: ")
    assert "outputUrls" not in failed
