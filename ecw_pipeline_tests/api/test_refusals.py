"""Whatever is sent is answered in words, and never with more than it should."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ecw_pipeline.api.app import OPENAPI_URL
from ecw_pipeline.api.jobs import BASE, JOBS_URL
from ecw_pipeline.api.server import ApiConfig, serve
from ecw_pipeline.cli.app import app
from ecw_pipeline.clock import SystemClock
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline_tests.api.harness import CONNECTION, Caller, calling

SYNC, CAPABILITIES = f"{BASE}/enhanced-sync", f"{BASE}/capabilities"
REQUESTS = [
    ("GET", JOBS_URL),
    ("POST", JOBS_URL),
    ("GET", f"{JOBS_URL}/x"),
    ("DELETE", f"{JOBS_URL}/x"),
    ("GET", f"{JOBS_URL}/x/files/0"),
    ("POST", SYNC),
    ("GET", CAPABILITIES),
    ("GET", OPENAPI_URL),
]


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with calling(tmp_path_factory.mktemp("api"), wait_seconds=0.0, export_seconds=600.0) as made:
        yield made


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "connectionId: Field required"),
        ({"connectionId": 5}, "connectionId: Input should be a valid string"),
        ({"connectionId": CONNECTION, "exportType": "patient"}, "exportType: Input should be"),
        ({"connectionId": CONNECTION, "resourceTypes": ["Unicorn"]}, "'Unicorn' is not a FHIR"),
        ({"connectionId": CONNECTION, "resourceTypes": "Patient"}, "resourceTypes: Input should"),
        ({"connectionId": CONNECTION, "since": "yesterday"}, "since: Value error"),
        ({"connectionId": CONNECTION, "since": "2024-01-01T00:00:00"}, "since: Value error"),
        ({"connectionId": CONNECTION, "groupId": "../x"}, "groupId: String should match"),
        ({"connectionId": CONNECTION, "exportType": "Group"}, "groupId is missing"),
        ({"connectionId": CONNECTION, "groupId": "g"}, "groupId goes with exportType Group"),
        (
            {"connectionId": CONNECTION, "exportType": "System", "groupId": "g"},
            "groupId goes with exportType Group",
        ),
        ({"connectionId": CONNECTION, "resourcetypes": []}, "resourcetypes: Extra inputs"),
        ([], "body: Input should be an object"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(caller: Caller, body: Any, words: str) -> None:
    problem = caller.problem(caller.post(JOBS_URL, body), 400)

    assert words in problem["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", JOBS_URL),
        ("POST", SYNC),
        ("GET", f"{CAPABILITIES}?connectionId=other"),
        ("GET", f"{JOBS_URL}?connectionId=other"),
        ("GET", f"{JOBS_URL}/20260101T000000-abcdef"),
        ("DELETE", f"{JOBS_URL}/20260101T000000-abcdef"),
        ("GET", f"{JOBS_URL}/20260101T000000-abcdef/files/0"),
        ("GET", f"{BASE}/elsewhere"),
    ],
)
def test_what_is_not_there_is_not_found(caller: Caller, method: str, path: str) -> None:
    body = {"connectionId": "other"} if method == "POST" else None

    assert caller.problem(caller.http.request(method, path, json=body), 404)["code"] == "NOT_FOUND"


def test_a_body_that_is_no_json_or_too_large_is_refused(caller: Caller) -> None:
    as_json = {"content-type": "application/json"}

    caller.problem(caller.http.post(JOBS_URL, content=b"{", headers=as_json), 400)
    caller.problem(caller.http.post(JOBS_URL, content=b"[" * (2 << 20), headers=as_json), 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_web_page_could_send_unasked_starts_nothing(caller: Caller, kind: str) -> None:
    body = json.dumps({"connectionId": CONNECTION})
    before = len(caller.practice.lake.ledger.exports())

    caller.problem(caller.http.post(JOBS_URL, content=body, headers={"content-type": kind}), 415)

    assert len(caller.practice.lake.ledger.exports()) == before


def test_a_name_that_only_leads_here_is_refused(caller: Caller) -> None:
    """DNS can be made to give a web page's host our address."""
    assert caller.http.get(JOBS_URL, headers={"host": "evil.example"}).status_code == 400


def test_nothing_wanted_and_nothing_to_be_had_are_said(caller: Caller) -> None:
    nothing = {"includeStandard": False, "includeEnhanced": False}

    assert "nothing is wanted" in caller.problem(caller.sync(**nothing), 400)["message"]
    missing = caller.sync(**nothing, resourceTypes=["Device"])
    assert "not offered by this server: Device" in caller.problem(missing, 400)["message"]


def test_a_server_that_cannot_be_reached_is_said_with_when_to_come_again(tmp_path: Path) -> None:
    nowhere = {"ECLINICALWORKS_FHIR_ENDPOINT": "http://127.0.0.1:9/fhir/r4"}
    with calling(tmp_path, nowhere) as caller:
        reply = caller.export()

    assert caller.problem(reply, 503)["code"] == "SERVER_UNAVAILABLE"
    assert int(reply.headers["retry-after"]) > 0


def test_with_a_key_nobody_else_is_let_in(tmp_path: Path) -> None:
    with calling(tmp_path, {"ECW_API_KEY": "k3y"}) as caller:
        for method, path in REQUESTS:
            assert caller.http.request(method, path).status_code == 401
            wrong = {"authorization": "Bearer k3"}
            refused = caller.http.request(method, path, headers=wrong)
            assert caller.problem(refused, 401)["code"] == "UNAUTHORIZED"
        right = {"authorization": "Bearer k3y"}
        assert caller.http.get(JOBS_URL, headers=right).status_code == 200


def test_others_reach_it_only_with_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECW_DATA", str(tmp_path))
    lake = Lake(Settings.from_environment(), SystemClock())

    with pytest.raises(ConfigurationError, match="without a key"):
        serve(lake, ApiConfig(host="0.0.0.0", port=0), print)


def test_the_command_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ECLINICALWORKS_CLIENT_ID", "ECLINICALWORKS_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(ConfigurationError):
        CliRunner().invoke(app, ["serve", "--port", "0"], catch_exceptions=False)


names = st.sampled_from(
    ["connectionId", "exportType", "groupId", "resourceTypes", "since", "includeStandard", "other"]
)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from([CONNECTION, "Patient", "Group", "all", "9999-12-31T23:59:59-14:00"]),
)
bodies = st.one_of(
    plain, st.dictionaries(names, st.one_of(plain, st.lists(plain, max_size=3)), max_size=5)
)


@given(path=st.sampled_from([JOBS_URL, SYNC]), body=bodies)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_body_is_answered_as_described(caller: Caller, path: str, body: Any) -> None:
    text = json.dumps(body)

    reply = caller.http.post(path, content=text, headers={"content-type": "application/json"})

    assert reply.status_code in (200, 202, 400, 404, 409), (body, reply.text)
    _assert_described(caller, "post", path, reply)


@given(path=st.text(alphabet=st.characters(codec="ascii", exclude_characters="#"), max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_path_is_answered_in_words(caller: Caller, path: str) -> None:
    try:
        reply = caller.http.get(f"{JOBS_URL}/{path}")
    except httpx.InvalidURL:
        return

    assert reply.status_code in (200, 307, 404, 405), (path, reply.text)


def _assert_described(caller: Caller, method: str, path: str, reply: httpx.Response) -> None:
    """A reply's status and fields are those of the OpenAPI document."""
    document = caller.get(OPENAPI_URL).json()
    responses = document["paths"][path][method]["responses"]
    schema = responses[str(reply.status_code)]["content"]["application/json"]["schema"]
    _check(reply.json(), schema, document["components"]["schemas"])


def _check(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """As much of JSON Schema as the document uses."""
    if "$ref" in schema:
        return _check(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        assert any(_fits(value, one, schemas) for one in schema["anyOf"]), (value, schema)
        return None
    if "const" in schema:
        assert value == schema["const"]
    if "enum" in schema:
        assert value in schema["enum"]
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), (value, schema)
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema.get("required", ())) <= value.keys() <= schema["properties"].keys()
        for name, one in value.items():
            _check(one, schema["properties"][name], schemas)
    if isinstance(value, list):
        for one in value:
            _check(one, schema["items"], schemas)
    return None


def _fits(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    try:
        _check(value, schema, schemas)
    except AssertionError:
        return False
    return True


def test_the_description_names_every_route_and_no_reference_is_open(caller: Caller) -> None:
    document = caller.get(OPENAPI_URL).json()

    assert {
        (method.upper(), path.replace("{id}", "x").replace("{number}", "0"))
        for path, methods in document["paths"].items()
        for method in methods
    } == {one for one in REQUESTS if one[1] != OPENAPI_URL}
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == set(document["components"]["schemas"])
