"""Kick-off, polling, manifest, files, and what is refused."""

import gzip
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.sandbox.population.world import RESOURCE_TYPES
from ecw_pipeline_tests.sandbox.harness import (
    ASYNC,
    Visitor,
    diagnostics,
    quick,
    versions,
    visiting,
)


def test_a_system_export_holds_exactly_the_truth(visitor: Visitor) -> None:
    manifest = visitor.export()

    assert versions(visitor.lines(manifest)) == visitor.truth()
    assert manifest["requiresAccessToken"] is True
    assert manifest["deleted"] == manifest["error"] == []


def test_counts_in_the_manifest_are_lines_in_the_files(visitor: Visitor) -> None:
    manifest = visitor.export("/Patient", _type="Observation,Patient")
    announced: Counter[str] = Counter()
    for item in manifest["output"]:
        announced[item["type"]] += item["count"]

    assert announced == Counter(r["resourceType"] for r in visitor.lines(manifest))


def test_a_type_of_many_lines_comes_in_several_files(visitor: Visitor) -> None:
    items = visitor.export("", _type="Observation")["output"]

    assert len(items) > 1
    assert {item["count"] for item in items[:-1]} == {200}


@pytest.mark.parametrize("level", ["/Patient", "/Group/all-patients"])
def test_the_practice_comes_only_when_asked_for(visitor: Visitor, level: str) -> None:
    by_default = {item["type"] for item in visitor.export(level)["output"]}
    asked = visitor.export(level, _type="Practitioner,Patient")

    assert by_default.isdisjoint({"Practitioner", "Organization", "Location", "Group"})
    assert {item["type"] for item in asked["output"]} == {"Practitioner", "Patient"}


def test_a_group_export_is_its_members_only() -> None:
    with visiting(quick(patients=40)) as someone:
        manifest = someone.sign_in().export("/Group/diabetics")
        lines = someone.lines(manifest)
        members = someone.get("/Group/diabetics").json()["member"]

    patients = {f"Patient/{r['id']}" for r in lines if r["resourceType"] == "Patient"}
    subjects = {r["subject"]["reference"] for r in lines if "subject" in r}
    assert patients == {member["entity"]["reference"] for member in members}
    assert subjects <= patients


def test_a_kick_off_by_post_means_the_same(visitor: Visitor) -> None:
    parameters = [{"name": "_type", "valueString": "Patient,Task"}]
    reply = visitor.http.post(
        f"{visitor.base_url}/$export",
        json={"resourceType": "Parameters", "parameter": parameters},
        headers={**visitor.headers, **ASYNC},
    )

    types = {item["type"] for item in visitor.finish(reply)["output"]}
    assert types == {"Patient", "Task"}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"_type": "Patient,Unicorn,Dragon"}, "Dragon, Unicorn"),
        ({"_since": "yesterday"}, "_since"),
        ({"_outputFormat": "text/csv"}, "_outputFormat"),
        ({"_elements": "id"}, "_elements"),
        ({"_typeFilter": "Patient"}, "_typeFilter"),
        ({"_typeFilter": "Patient?shoe-size=44"}, "shoe-size"),
    ],
)
def test_a_bad_parameter_is_named(visitor: Visitor, parameters: dict[str, str], words: str) -> None:
    reply = visitor.kick_off("", **parameters)

    assert reply.status_code == 400
    assert words in diagnostics(reply)


@pytest.mark.parametrize(
    ("search", "holds"),
    [
        ("gender=female", lambda r: r["gender"] == "female"),
        ("gender=female,male", lambda r: r["gender"] in ("female", "male")),
        ("active=false", lambda r: not r["active"]),
        ("_lastUpdated=lt2025-01-01", lambda r: r["meta"]["lastUpdated"] < "2025-01-01"),
        ("_id=pat-000001", lambda r: r["id"] == "pat-000001"),
    ],
)
def test_a_type_filter_leaves_what_its_search_finds(
    visitor: Visitor, search: str, holds: Callable[[dict[str, Any]], bool]
) -> None:
    everyone = visitor.lines(visitor.export("", _type="Patient"))

    found = visitor.lines(visitor.export("", _type="Patient", _typeFilter=f"Patient?{search}"))

    assert found == [one for one in everyone if holds(one)]


def test_filters_of_a_type_are_alternatives_and_of_another_type_no_matter(
    visitor: Visitor,
) -> None:
    filters = "Observation?code=http://loinc.org|8867-4,Observation?category=laboratory"
    found = visitor.lines(visitor.export("", _type="Observation,Location", _typeFilter=filters))

    kinds = {
        (one["category"][0]["coding"][0]["code"], one["code"]["coding"][0]["code"] == "8867-4")
        for one in found
        if one["resourceType"] == "Observation"
    }
    assert kinds == {("laboratory", False), ("vital-signs", True)}
    assert any(one["resourceType"] == "Location" for one in found)


def test_a_lenient_client_gets_its_export_without_the_optional_parameter(visitor: Visitor) -> None:
    headers = {**visitor.headers, **ASYNC, "Prefer": "respond-async, handling=lenient"}
    parameters = {"_elements": "id", "_type": "Location"}
    url = f"{visitor.base_url}/$export"

    assert visitor.http.get(url, params=parameters, headers=headers).status_code == 202


@pytest.mark.parametrize(
    "headers", [{"Accept": "application/json"}, {"Prefer": "return=minimal"}, {"Prefer": ""}]
)
def test_a_kick_off_without_its_headers_is_refused(
    visitor: Visitor, headers: dict[str, str]
) -> None:
    reply = visitor.get("/$export", **{**ASYNC, **headers})

    assert reply.status_code == 400
    assert "header" in diagnostics(reply)


@pytest.mark.parametrize("path", ["/$export-status/no-such-job", "/Patient/pat-999999", "/a/b/c"])
def test_what_is_not_there_is_404(visitor: Visitor, path: str) -> None:
    reply = visitor.get(path)

    assert reply.status_code == 404 or "scope" in diagnostics(reply)


def test_an_unknown_group_is_404(visitor: Visitor) -> None:
    reply = visitor.kick_off("/Group/strangers")

    assert reply.status_code == 404
    assert "strangers" in diagnostics(reply)


def test_a_running_export_says_when_to_come_back_and_is_not_started_twice() -> None:
    with visiting(quick(export_seconds=30.0, retry_after_seconds=7)) as someone:
        first = someone.sign_in().kick_off("", _type="Patient,Task")
        poll = someone.get(first.headers["content-location"])
        second = someone.kick_off("", _type="Task,Patient")
        different = someone.kick_off("", _type="Task")

    assert (poll.status_code, poll.headers["retry-after"]) == (202, "7")
    assert poll.headers["x-progress"].endswith("% Completed")
    assert second.status_code == 429
    assert "already running" in diagnostics(second)
    assert different.status_code == 202


def test_a_deleted_export_is_gone_and_may_be_started_again() -> None:
    with visiting(quick(export_seconds=30.0)) as someone:
        location = someone.sign_in().kick_off().headers["content-location"]
        deleted = someone.http.delete(location, headers=someone.headers)

        assert deleted.status_code == 202
        assert someone.get(location).status_code == 404
        assert someone.kick_off().status_code == 202


def test_the_transaction_time_is_the_sandbox_s_own(visitor: Visitor) -> None:
    manifest = visitor.export("", _type="Patient")

    assert manifest["transactionTime"].startswith("2026-01-01T00:")
    assert manifest["request"].endswith("$export?_type=Patient")


def _file(visitor: Visitor) -> str:
    return str(visitor.export("", _type="Task")["output"][0]["url"])


def _raw(visitor: Visitor, url: str, **headers: str) -> tuple[httpx.Response, bytes]:
    request = {**visitor.headers, **headers}
    with visitor.http.stream("GET", url, headers=request) as reply:
        return reply, b"".join(reply.iter_raw())


def test_a_file_is_gzip_or_plain_as_the_client_likes(visitor: Visitor) -> None:
    url = _file(visitor)
    packed, stored = _raw(visitor, url, **{"Accept-Encoding": "gzip"})
    plain, text = _raw(visitor, url, **{"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(stored) == text
    assert packed.headers["content-length"] == str(len(stored))
    assert plain.headers["content-type"] == "application/fhir+ndjson"
    assert packed.headers["etag"] != plain.headers["etag"]


def test_a_cut_download_continues_where_it_stopped(visitor: Visitor) -> None:
    url = _file(visitor)
    whole, stored = _raw(visitor, url, **{"Accept-Encoding": "gzip"})
    request = {"Accept-Encoding": "gzip", "Range": "bytes=100-", "If-Range": whole.headers["etag"]}
    rest, tail = _raw(visitor, url, **request)
    changed, everything = _raw(visitor, url, **{**request, "If-Range": '"other"'})

    assert (rest.status_code, stored[100:]) == (206, tail)
    assert rest.headers["content-range"] == f"bytes 100-{len(stored) - 1}/{len(stored)}"
    assert (changed.status_code, everything) == (200, stored)


def test_a_range_beyond_the_end_is_416(visitor: Visitor) -> None:
    headers = {"Accept-Encoding": "gzip", "Range": "bytes=99999999-"}

    assert _raw(visitor, _file(visitor), **headers)[0].status_code == 416


def test_the_server_describes_itself_without_a_token(visitor: Visitor) -> None:
    smart = httpx.get(f"{visitor.base_url}/.well-known/smart-configuration").json()
    capabilities = httpx.get(f"{visitor.base_url}/metadata").json()
    resources = {r["type"]: r for r in capabilities["rest"][0]["resource"]}

    assert smart["token_endpoint"] == f"{visitor.server_url}/oauth2/token"
    assert set(resources) == set(RESOURCE_TYPES)
    assert resources["Group"]["operation"][0]["definition"].endswith("group-export")


def test_a_resource_can_be_read_alone(visitor: Visitor) -> None:
    exported = visitor.lines(visitor.export("", _type="Observation,Practitioner"))

    for resource in (exported[0], exported[-1]):
        path = f"/{resource['resourceType']}/{resource['id']}"
        assert visitor.get(path).json() == resource


def test_every_meta_last_updated_is_no_later_than_the_transaction(visitor: Visitor) -> None:
    manifest = visitor.export()
    until = parse_instant(manifest["transactionTime"])

    assert all(parse_instant(r["meta"]["lastUpdated"]) <= until for r in visitor.lines(manifest))
