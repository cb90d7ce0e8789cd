"""What each fault of the manifest looks like on the wire, to a plain HTTP client."""

import html
import re
from typing import Any

import pytest

from ecw_pipeline_tests.sandbox.harness import Visitor
from ecw_pipeline_tests.sandbox.suffering import (
    fetched,
    only_file,
    plain_lines,
    resources,
    suffering,
)

TASKS = {"_type": "Task"}
TWO = {"_type": "Goal,Task"}


def test_relative_urls(hostile: Visitor) -> None:
    with suffering(hostile, {"relative_urls": {}}):
        location = hostile.kick_off("", **TASKS).headers["content-location"]
        manifest = hostile.get(hostile.server_url + location)
        while manifest.status_code == 202:
            manifest = hostile.get(hostile.server_url + location)

    assert location.startswith("/fhir/r4/$export-status/")
    assert only_file(manifest.json()).startswith("/fhir/r4/$export-file/")


def test_escaped_urls(hostile: Visitor) -> None:
    with suffering(hostile, {"escaped_urls": {}}):
        kicked_off = hostile.kick_off("", **TASKS)
        escaped = kicked_off.headers["content-location"]
        literally = hostile.get(escaped).status_code
        kicked_off.headers["content-location"] = html.unescape(escaped)
        url = only_file(hostile.finish(kicked_off))
        statuses = [hostile.get(one).status_code for one in (url, html.unescape(url))]

    assert "&amp;part=1" in escaped
    assert (literally, statuses) == (400, [400, 200])


@pytest.mark.parametrize("by", [1, -1])
def test_wrong_counts(hostile: Visitor, by: int) -> None:
    with suffering(hostile, {"wrong_counts": {"by": by, "resource_type": "Task"}}):
        manifest = hostile.export("", **TWO)
        lines = {i["type"]: len(plain_lines(hostile, i["url"])) for i in manifest["output"]}

    assert {i["type"]: i["count"] - lines[i["type"]] for i in manifest["output"]} == {
        "Goal": 0,
        "Task": by,
    }


def test_missing_counts(hostile: Visitor) -> None:
    with suffering(hostile, {"missing_counts": {}}):
        (item,) = hostile.export("", **TASKS)["output"]

    assert "count" not in item


def test_wrong_type(hostile: Visitor) -> None:
    with suffering(hostile, {"wrong_type": {"announced": "Patient"}}):
        (item,) = hostile.export("", **TASKS)["output"]
        types = {r["resourceType"] for r in resources(plain_lines(hostile, item["url"]))}

    assert (item["type"], types) == ("Patient", {"Task"})


@pytest.mark.parametrize(
    "keys",
    [["transactionTime"], ["requiresAccessToken"], ["request", "deleted", "error"]],
)
def test_missing_keys(hostile: Visitor, keys: list[str]) -> None:
    whole = set(hostile.sign_in().export("", **TASKS))
    with suffering(hostile, {"missing_keys": {"keys": keys}}):
        assert whole - set(hostile.export("", **TASKS)) == set(keys)


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("no_zone", r"2026-01-01T\d\d:\d\d:\d\d(\.\d+)?"),
        ("offset", r"2026-01-01T\d\d:\d\d:\d\d(\.\d+)?\+05:30"),
        ("space", r"2026-01-01 \d\d:\d\d:\d\d(\.\d+)?\+00:00"),
        ("date", "2026-01-01"),
        ("yesterday", "yesterday"),
    ],
)
def test_odd_transaction_time(hostile: Visitor, form: str, pattern: str) -> None:
    with suffering(hostile, {"odd_transaction_time": {"form": form}}):
        text = hostile.export("", **TASKS)["transactionTime"]

    assert re.fullmatch(pattern, text)


@pytest.mark.parametrize("value", ["application/json+fhir", ""])
def test_manifest_content_type(hostile: Visitor, value: str) -> None:
    with suffering(hostile, {"manifest_content_type": {"value": value}}):
        kicked_off = hostile.kick_off("", **TASKS)
        hostile.finish(kicked_off)
        reply = hostile.get(kicked_off.headers["content-location"])

    assert reply.headers.get("content-type", "") == value
    assert reply.json()["output"]


def test_paging_loop(hostile: Visitor) -> None:
    with suffering(hostile, {"paging_loop": {}}):
        kicked_off = hostile.kick_off("", **TASKS)
        (link,) = hostile.finish(kicked_off)["link"]

    assert link == {"relation": "next", "url": kicked_off.headers["content-location"]}


def test_manifest_pages(hostile: Visitor) -> None:
    with suffering(hostile, {"manifest_pages": {}}):
        pages: list[dict[str, Any]] = [hostile.export("", **TWO)]
        while links := pages[-1].get("link"):
            pages.append(hostile.get(links[0]["url"]).json())

    assert [[item["type"] for item in page["output"]] for page in pages] == [["Goal"], ["Task"]]


def test_deleted_overlap(hostile: Visitor) -> None:
    with suffering(hostile, {"deleted_overlap": {"resources": 2}}):
        manifest = hostile.export("", **TASKS)
        output = resources(plain_lines(hostile, only_file(manifest)))
        (item,) = manifest["deleted"]
        (bundle,) = resources(plain_lines(hostile, item["url"]))

    deleted = [entry["request"] for entry in bundle["entry"]]
    assert deleted == [{"method": "DELETE", "url": f"Task/{r['id']}"} for r in output[:2]]


@pytest.mark.parametrize("keeps_output", [False, True])
def test_error_only(hostile: Visitor, keeps_output: bool) -> None:
    with suffering(hostile, {"error_only": {"keeps_output": keeps_output}}):
        manifest = hostile.export("", **TASKS)
        (error,) = manifest["error"]
        (outcome,) = resources(plain_lines(hostile, error["url"]))

    assert outcome["resourceType"] == error["type"] == "OperationOutcome"
    assert bool(manifest["output"]) == keeps_output


@pytest.mark.parametrize("status", [404, 410])
def test_expired_links(hostile: Visitor, status: int) -> None:
    with suffering(hostile, {"expired_links": {"status": status}}):
        kicked_off = hostile.kick_off("", **TASKS)
        first = only_file(hostile.finish(kicked_off))
        second = only_file(hostile.finish(kicked_off))
        statuses = [hostile.get(url).status_code for url in (first, first, second)]

    assert statuses == [status, status, 200]


@pytest.mark.parametrize("keeps_type", [True, False])
def test_organized_output(hostile: Visitor, keeps_type: bool) -> None:
    with suffering(hostile, {"organized_output": {"keeps_type": keeps_type}}):
        manifest = hostile.export("", **TASKS)
        header, first, *_ = resources(plain_lines(hostile, only_file(manifest)))

    assert manifest["outputOrganizedBy"] == "Patient"
    assert ("type" in manifest["output"][0]) == keeps_type
    assert (header["resourceType"], first["resourceType"]) == ("Parameters", "Task")


def test_signed_links(hostile: Visitor) -> None:
    with suffering(hostile, {"signed_links": {}}):
        manifest = hostile.export("", **TASKS)
        url = only_file(manifest)
        with_token = hostile.get(url).status_code
        hostile.headers = {}
        without = fetched(hostile, url)[0].status_code

    assert manifest["requiresAccessToken"] is False
    assert (with_token, without) == (400, 200)
