"""What each fault of requests looks like on the wire, to a plain HTTP client.

Manifests and files have theirs in `test_fault_manifests` and `test_fault_files`.
"""

import html
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.sandbox.faults.fault import REQUESTS, Fault
from ecw_pipeline.sandbox.faults.script import Faults
from ecw_pipeline.sandbox.faults.table import FAULTS
from ecw_pipeline.sandbox.server import running_sandbox
from ecw_pipeline.sandbox.tokens import ASSERTION_TYPE
from ecw_pipeline_tests.sandbox.harness import ASYNC, Visitor, diagnostics, quick, visiting
from ecw_pipeline_tests.sandbox.suffering import only_file, plain_lines, set_faults, suffering

MONDAY = datetime(2024, 1, 1, 12, 0, 30, tzinfo=UTC)
DOCUMENTED = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
RATE_HEADERS = {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}


@pytest.fixture(autouse=True)
def _no_job_is_left(hostile: Visitor) -> None:
    """An export that a test before did not wait for would be refused as running."""
    with suffering(hostile, {"lost_job": {}}):
        hostile.get("/$export-status/any")


@pytest.fixture(scope="module")
def slow() -> Iterator[Visitor]:
    """A visitor of a sandbox whose exports take longer than a test."""
    with visiting(quick(export_seconds=600.0, retry_after_seconds=7)) as someone:
        yield someone


def code_of(reply: httpx.Response) -> str:
    return str(reply.json()["issue"][0]["code"])


# --- any endpoint -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "retry_after", "rate_headers"),
    [
        ({}, None, set()),
        ({"retry_after": "9"}, "9", set()),
        ({"rate_headers": True}, None, RATE_HEADERS),
    ],
)
def test_throttled(
    hostile: Visitor, parameters: Any, retry_after: str | None, rate_headers: set[str]
) -> None:
    with suffering(hostile, {"throttled": parameters}):
        reply = hostile.get("/metadata")

    assert (reply.status_code, reply.headers.get("retry-after")) == (429, retry_after)
    assert {name for name in reply.headers if name.startswith("x-rate")} == rate_headers


def test_calendar_minute() -> None:
    clock = ManualClock(MONDAY)
    with visiting(quick(), {"calendar_minute": {"limit": 2}}, clock) as someone:
        someone.sign_in()
        replies = [someone.get("/metadata") for _ in range(2)]
        clock.advance(30)
        replies += [someone.get("/metadata")]

    assert [reply.status_code for reply in replies] == [200, 429, 200]
    assert "retry-after" not in replies[1].headers


def test_no_rate_headers(hostile: Visitor) -> None:
    with suffering(hostile, {"no_rate_headers": {}}):
        assert RATE_HEADERS.isdisjoint(hostile.get("/metadata").headers)
    assert hostile.get("/metadata").headers.keys() >= RATE_HEADERS


@pytest.mark.parametrize("status", [404, 410, 500, 502, 503])
def test_error_status(hostile: Visitor, status: int) -> None:
    with suffering(hostile, {"error_status": {"on": "status", "status": status, "times": 1}}):
        location = hostile.kick_off("", _type="Task").headers["content-location"]
        replies = [hostile.get(location), hostile.get(location)]

    assert (replies[0].status_code, code_of(replies[0])) == (status, "transient")
    assert replies[1].status_code in (200, 202)


def test_error_status_of_the_token_endpoint_with_a_wait(hostile: Visitor) -> None:
    with suffering(hostile, {"error_status": {"on": "token", "retry_after": "9"}}):
        reply = hostile.token()

    assert (reply.status_code, reply.headers["retry-after"]) == (503, "9")


@pytest.mark.parametrize("status", [401, 200])
def test_html_401(hostile: Visitor, status: int) -> None:
    with suffering(hostile, {"html_401": {"status": status}}):
        reply = hostile.get("/metadata")

    assert (reply.status_code, reply.headers["content-type"]) == (
        status,
        "text/html; charset=utf-8",
    )


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("epoch_seconds", str(int(MONDAY.timestamp()) + 30)),
        ("epoch_milliseconds", str((int(MONDAY.timestamp()) + 30) * 1000)),
        ("http_date", "Mon, 01 Jan 2024 12:01:00 GMT"),
        ("past_date", "Sun, 31 Dec 2023 12:00:30 GMT"),
        ("negative", "-5"),
        ("huge", "99999999"),
        ("fraction", "0.25"),
        ("garbage", "soon"),
        ("5 minutes", "5 minutes"),
    ],
)
def test_absurd_retry_after(punctual: Visitor, form: str, text: str) -> None:
    with suffering(punctual, {"absurd_retry_after": {"form": form}, "throttled": {}}):
        assert punctual.get("/metadata").headers["retry-after"] == text


@pytest.fixture(scope="module")
def punctual() -> Iterator[Visitor]:
    """A visitor of a sandbox at which it is always the same instant."""
    with visiting(quick(), clock=ManualClock(MONDAY)) as someone:
        yield someone


def test_lost_reply(slow: Visitor) -> None:
    with suffering(slow, {"lost_reply": {"on": "kickoff", "times": 1}}):
        with pytest.raises(httpx.ReadError):
            slow.kick_off("", _type="Procedure")
        second = slow.kick_off("", _type="Procedure")

    assert second.status_code == 429  # the first was started, though nobody was told


def test_expired_token(hostile: Visitor) -> None:
    with suffering(hostile, {"expired_token": {"on": "file"}}):
        url = only_file(hostile.export("", _type="Task"))
        refused = [hostile.get(url).status_code for _ in range(2)]
        renewed = hostile.sign_in().get(url).status_code

    assert (refused, renewed) == ([401, 401], 200)


def test_affinity_cookie(hostile: Visitor) -> None:
    with suffering(hostile, {"affinity_cookie": {}}):
        reply = hostile.kick_off("", _type="Task")
        stranger = httpx.get(reply.headers["content-location"], headers=hostile.headers)
        manifest = hostile.finish(reply)

    assert "affinity" in reply.headers["set-cookie"]
    assert stranger.status_code == 404
    assert manifest["output"]


# --- clocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [10, -10])
def test_clock_skew(punctual: Visitor, minutes: int) -> None:
    honest = parse_instant(punctual.sign_in().export("", _type="Task")["transactionTime"])
    with suffering(punctual, {"clock_skew": {"minutes": minutes}}):
        date = parsedate_to_datetime(punctual.get("/metadata").headers["date"])
        manifest = punctual.export("", _type="Task")

    assert date - MONDAY == timedelta(minutes=minutes)
    skew = parse_instant(manifest["transactionTime"]) - honest
    assert abs(skew - timedelta(minutes=minutes)) < timedelta(minutes=1)


@pytest.mark.parametrize(("minutes", "status"), [(0, 200), (6, 401), (-1, 401)])
def test_clock_skew_of_a_signed_token_request(minutes: int, status: int) -> None:
    key = ECKey.generate_key("P-384", {"kid": "one", "alg": "ES384", "use": "sig"})
    config = quick(jwks={"keys": [key.as_dict(private=False)]})
    with visiting(config, {"clock_skew": {"minutes": minutes}}) as someone:
        now = int(time.time())
        address = f"{someone.server_url}/oauth2/token"
        claims = {"iss": "sandbox-client", "sub": "sandbox-client", "aud": address, "jti": "1"}
        header = {"alg": "ES384", "kid": "one"}
        claims |= {"iat": now, "exp": now + 290}  # type: ignore[dict-item]
        assertion = jwt.encode(header, claims, key, algorithms=["ES384"])
        form = {"grant_type": "client_credentials", "scope": "system/*.read"}
        form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        reply = someone.http.post(address, data=form)

    assert reply.status_code == status


# --- tokens -----------------------------------------------------------------------------------


def test_access_denied(hostile: Visitor) -> None:
    with suffering(hostile, {"access_denied": {}}):
        reply = hostile.token()

    assert (reply.status_code, reply.json()["error"]) == (500, "access_denied")


def test_refused_scopes(hostile: Visitor) -> None:
    with suffering(hostile, {"refused_scopes": {}}):
        replies = [
            hostile.token("system/Patient.read"),
            hostile.token("system/Patient.read system/Task.read"),
        ]

    assert [reply.status_code for reply in replies] == [200, 400]
    assert replies[1].json()["error"] == "invalid_scope"
    assert "Task" not in replies[1].text


@pytest.mark.parametrize(
    ("parameters", "known", "unknown"),
    [
        ({}, "system/Patient.r", "system/Patient.read"),
        ({"suffixes": ["rs"]}, "system/Patient.rs", "system/Patient.r"),
        ({"resource_types": ["Task"]}, "system/Patient.read system/Task.r", "system/Task.read"),
    ],
)
def test_scope_spelling(hostile: Visitor, parameters: Any, known: str, unknown: str) -> None:
    with suffering(hostile, {"scope_spelling": parameters}):
        statuses = [hostile.token(scope).status_code for scope in (known, unknown)]
        advertised = hostile.get("/.well-known/smart-configuration").json()["scopes_supported"]

    assert statuses == [200, 400]
    assert set(known.split()) <= set(advertised)
    assert unknown not in advertised


@pytest.mark.parametrize("status", [400, 422])
def test_narrow_searches(hostile: Visitor, status: int) -> None:
    with suffering(hostile, {"narrow_searches": {"status": status}}):
        wide = hostile.get("/Observation?_count=1")
        narrow = hostile.get("/Observation?_count=1&patient=pat-000001")
        other = hostile.get("/metadata")

    assert [reply.status_code for reply in (wide, narrow, other)] == [status, 200, 200]
    assert wide.json()["issue"][0]["code"] == "too-costly"


def test_no_batches(hostile: Visitor) -> None:
    search = {"request": {"method": "GET", "url": "Observation?_count=1"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [search]}

    def send(**changes: str) -> httpx.Response:
        return hostile.http.post(hostile.base_url, json=batch | changes, headers=hostile.headers)

    taken, odd = send(), send(type="transaction")
    with suffering(hostile, {"no_batches": {}}):
        refused = send()
        alone = hostile.get("/Observation?_count=1")

    assert [one.status_code for one in (taken, odd, refused, alone)] == [200, 400, 405, 200]
    assert taken.json()["entry"][0]["resource"]["entry"] == alone.json()["entry"]


@pytest.mark.parametrize(("announced", "expires_in"), [(True, 20), (False, None)])
def test_token_lifetime(announced: bool, expires_in: int | None) -> None:
    clock = ManualClock(MONDAY)
    faults = {"token_lifetime": {"seconds": 20, "announced": announced}}
    with visiting(quick(), faults, clock) as someone:
        issued = someone.token().json()
        someone.headers = {"Authorization": f"Bearer {issued['access_token']}"}
        early = someone.get("/Group").status_code
        clock.advance(20)
        late = someone.get("/Group").status_code

    assert (issued.get("expires_in"), early, late) == (expires_in, 200, 401)


def test_fewer_scopes(hostile: Visitor) -> None:
    with suffering(hostile, {"fewer_scopes": {}}):
        granted = hostile.token("system/Patient.read system/Task.read").json()["scope"]

    assert granted == "system/Patient.read"


# --- kick-off ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 409, 429])
@pytest.mark.parametrize("url", ["none", "header", "text"])
def test_already_running(slow: Visitor, status: int, url: str) -> None:
    with suffering(slow, {"already_running": {"status": status, "url": url}}):
        slow.kick_off("", _type="Task")
        first = slow.kick_off("", _type="Patient,Goal")
        second = slow.kick_off("", _type="Goal,Patient")
        location = first.headers.get("content-location", second.headers.get("content-location"))
        for one in (first, second):
            slow.http.delete(one.headers.get("content-location", location), headers=slow.headers)

    assert second.status_code == status
    assert (second.headers.get("content-location") == location) == (url == "header")
    assert (str(location) in diagnostics(second)) == (url == "text")


def test_bad_group(hostile: Visitor) -> None:
    with suffering(hostile, {"bad_group": {}}):
        assert hostile.kick_off("/Group/strangers").status_code == 401
        assert hostile.kick_off("/Group/all-patients", _type="Task").status_code == 202


def test_unknown_group_is_empty(hostile: Visitor) -> None:
    with suffering(hostile, {"unknown_group_is_empty": {}}):
        manifest = hostile.export("/Group/strangers")

    assert (manifest["output"], manifest["error"]) == ([], [])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_parameters(hostile: Visitor, method: str) -> None:
    url = f"{hostile.base_url}/$export"
    parameter = {"name": "_typeFilter", "valueString": "Task?status=draft"}
    asked: dict[str, Any] = {"params": {"_typeFilter": "Task?status=draft"}}
    if method == "POST":
        asked = {"json": {"resourceType": "Parameters", "parameter": [parameter]}}
    with suffering(hostile, {"refused_parameters": {}}):
        headers = {**hostile.headers, **ASYNC, "Prefer": "respond-async, handling=lenient"}
        reply = hostile.http.request(method, url, headers=headers, **asked)
        accepted = hostile.http.get(url, headers=headers, params={"_type": "Task"})

    assert (reply.status_code, accepted.status_code) == (400, 202)
    assert "_typeFilter" in diagnostics(reply)


def test_a_body_that_is_none_is_refused_by_a_fault_as_by_the_server(hostile: Visitor) -> None:
    with suffering(hostile, {"refused_parameters": {}}):
        headers = {**hostile.headers, **ASYNC}
        reply = hostile.http.post(f"{hostile.base_url}/$export", headers=headers, content=b"no")

    assert (reply.status_code, code_of(reply)) == (400, "structure")


def test_strict_since(hostile: Visitor) -> None:
    with suffering(hostile, {"strict_since": {}}):
        statuses = [
            hostile.kick_off("", _type="Task", _since=since).status_code
            for since in ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00.000Z")
        ]
        without = hostile.kick_off("", _type="Goal").status_code

    assert (statuses, without) == ([400, 202], 202)


def test_strict_prefer(hostile: Visitor) -> None:
    with suffering(hostile, {"strict_prefer": {}}):
        lenient = hostile.get("/$export", **ASYNC | {"Prefer": "respond-async, handling=lenient"})

        assert lenient.status_code == 400
        assert hostile.kick_off("", _type="Task").status_code == 202


# --- status -----------------------------------------------------------------------------------


def test_frozen_progress(hostile: Visitor) -> None:
    with suffering(hostile, {"frozen_progress": {"times": 3}}):
        location = hostile.kick_off("", _type="Task").headers["content-location"]
        replies = [hostile.get(location) for _ in range(3)]
        thawed = hostile.get(location)

    assert {(r.status_code, r.headers["x-progress"]) for r in replies} == {(202, "42% Completed")}
    assert thawed.headers.get("x-progress") != "42% Completed"


def test_lost_job(hostile: Visitor) -> None:
    with suffering(hostile, {"lost_job": {"nth": 2}}):
        location = hostile.kick_off("", _type="Task").headers["content-location"]
        statuses = [hostile.get(location).status_code for _ in range(3)]
        again = hostile.export("", _type="Task")

    assert statuses[0] in (200, 202)
    assert statuses[1:] == [404, 404]
    assert again["output"]


def test_progress_text(slow: Visitor) -> None:
    with suffering(slow, {"progress_text": {}}):
        location = slow.kick_off("", _type="CarePlan").headers["content-location"]

        assert slow.get(location).headers["x-progress"] == "almost there; <b>3 of 7</b> chunks"


def test_empty_body_first(hostile: Visitor) -> None:
    with suffering(hostile, {"empty_body_first": {}}):
        kicked_off = hostile.kick_off("", _type="Task")

        assert hostile.finish(kicked_off) == {}
        assert hostile.finish(kicked_off)["output"]


# --- scripts ----------------------------------------------------------------------------------


def test_every_fault_is_observed() -> None:
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_fault*"))

    assert [name for name in FAULTS if f"def test_{name}" not in tests] == []
    assert [name for name, fault in FAULTS.items() if not fault.description] == []


def row(fault: Fault) -> str:
    on = "any" if fault.kinds == REQUESTS else ", ".join(fault.kinds)
    settings = f"`{fault.settings}`" if fault.settings else ""
    return f"| `{fault.name}` | {on} | {settings} | {fault.description} |"


def test_every_fault_is_documented_in_its_order() -> None:
    _, table = DOCUMENTED.split("| fault | on | parameters | |\n| --- | --- | --- | --- |\n")

    assert table.splitlines() == [row(fault) for fault in FAULTS.values()]


def test_the_example_of_the_documentation_is_a_script() -> None:
    example = DOCUMENTED.split("```toml\n")[1].split("```")[0]

    assert [rule.fault.name for rule in Faults.from_mapping(tomllib.loads(example)).rules] == [
        "error_status",
        "error_status",
        "cut_body",
    ]


def test_a_fault_strikes_from_the_nth_request_on_so_many_times(hostile: Visitor) -> None:
    with suffering(hostile, {"html_401": {"on": "fhir", "nth": 2, "times": 2}}):
        statuses = [hostile.get("/metadata").status_code for _ in range(5)]

    assert statuses == [200, 401, 401, 200, 200]


def test_a_fault_may_concern_one_resource_type(hostile: Visitor) -> None:
    with suffering(hostile, {"html_401": {"on": ["file"], "resource_type": "Task"}}):
        items = hostile.export("", _type="Task,Goal")["output"]
        statuses = {item["type"]: hostile.get(item["url"]).status_code for item in items}

    assert statuses == {"Task": 401, "Goal": 200}


def test_the_same_fault_may_come_twice_and_the_second_sees_what_the_first_lets_by(
    hostile: Visitor,
) -> None:
    twice = [{"times": 1, "status": 500}, {"nth": 2, "status": 404}]
    with suffering(hostile, {"error_status": twice}):
        statuses = [hostile.get("/metadata").status_code for _ in range(3)]

    assert statuses == [500, 200, 404]


def test_a_seed_strikes_the_same_files_in_any_order() -> None:
    def struck(seed: int, *paths: str) -> set[str]:
        faults = {"seed": seed, "html_401": {"probability": 0.5}}
        with visiting(quick(patients=1), faults) as someone:
            return {path for path in paths if "sign in" in someone.get(path).text}

    files = [f"/$export-file/1/Task.{number:03d}.ndjson" for number in range(20)]
    first = struck(1, *files)
    assert 0 < len(first) < 20
    assert struck(1, *reversed(files)) == first
    assert struck(2, *files) != first


def test_faults_nest_the_later_inside_the_earlier(hostile: Visitor) -> None:
    with suffering(hostile, {"crlf": {}, "byte_order_mark": {}, "no_final_newline": {}}):
        lines = plain_lines(hostile, only_file(hostile.export("", _type="Task")))

    assert lines[0].startswith(b"\xef\xbb\xbf{")
    assert lines[0].endswith(b"}\r\n")


@pytest.mark.parametrize("seed", range(2))
def test_all_faults_at_once_do_not_break_the_server_itself(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    small = {"gzip_bomb": {"megabytes": 1}, "long_line": {"megabytes": 1}}
    small |= {"slow_body": {"size_bytes": 5000, "pause_seconds": 0}}
    rare = {*REQUESTS} - {"attachment", "file", "status"}
    faults: dict[str, Any] = {
        name: {"probability": 0.02 if rare & {*fault.kinds} else 0.3} | small.get(name, {})
        for name, fault in FAULTS.items()
    }
    with visiting(quick(patients=2), {"seed": seed, **faults}) as someone:
        texts: list[str] = []
        for _ in range(100):  # which faults strike soon, only chance knows
            texts += [reply.text for reply in wander(someone)]
            if len(someone.stats()["by_fault"]) > 25 and len(texts) > 100:
                break
        else:
            pytest.fail(f"struck in vain: {someone.stats()['by_fault']}")

    assert [text for text in texts if text.startswith("Internal Server Error")] == []
    assert caplog.messages == []


def wander(someone: Visitor) -> Iterator[httpx.Response]:
    """Ask for all there is, and believe whatever comes back."""
    urls = ["/fhir/r4/.well-known/smart-configuration"]
    with suppress(httpx.HTTPError, KeyError, ValueError):
        urls += [someone.sign_in().kick_off("", _type="Task,Goal").headers["content-location"]] * 20
    while urls:
        url = httpx.URL(someone.server_url).join(html.unescape(urls.pop(0)))
        with suppress(httpx.HTTPError):
            reply = someone.http.get(url, headers=someone.headers, follow_redirects=True)
            yield reply
            if "/$export-status/" in url.path and reply.text.startswith('{"'):
                manifest = reply.json()
                for key in ("output", "deleted", "error"):
                    urls += [item["url"] for item in manifest.get(key, [])]


def test_what_faults_did_is_counted(hostile: Visitor) -> None:
    hostile.http.post(f"{hostile.server_url}/sandbox/reset-stats")
    with suffering(hostile, {"html_401": {"times": 2}, "throttled": {"on": "token"}}):
        for _ in range(3):
            hostile.get("/metadata")
        hostile.token()
        shown = hostile.http.get(f"{hostile.server_url}/sandbox/faults").json()

    assert hostile.stats()["by_fault"] == {"html_401": 2, "throttled": 1}
    assert shown == {"html_401": {"times": 2}, "throttled": {"on": "token"}}


def test_faults_can_be_set_from_python_while_the_sandbox_runs() -> None:
    with running_sandbox(quick(), Faults.from_mapping({"html_401": {}})) as sandbox:
        url = f"{sandbox.base_url}/metadata"
        before = httpx.get(url).status_code
        sandbox.faults.replace({})

        assert (before, httpx.get(url).status_code) == (401, 200)


WRONG: list[tuple[Any, str]] = [
    ({"html_402": {}}, "no fault 'html_402'"),
    ({"html_401": {"code": 1}}, "no parameter 'code'"),
    ({"html_401": {"status": "401"}}, "status of the fault html_401 must be like 401"),
    ({"html_401": {"times": True}}, "times"),
    ({"html_401": {"probability": "often"}}, "probability"),
    ({"html_401": {"on": "manifest"}}, "can be on: token"),
    ({"html_401": {"on": [1]}}, "on of the fault"),
    ({"html_401": 401}, "needs a table"),
    ({"html_401": [401]}, "needs a table"),
    ([], "a table of tables"),
]


@pytest.mark.parametrize(("mapping", "words"), WRONG)
def test_a_script_that_is_wrong_is_refused(hostile: Visitor, mapping: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Faults.from_mapping(mapping)
    reply = hostile.http.post(f"{hostile.server_url}/sandbox/faults", json=mapping)

    assert "--list-faults" in caught.value.next_step
    assert reply.status_code == 400
    assert diagnostics(reply) == str(caught.value)


def test_a_body_without_faults_is_refused(hostile: Visitor) -> None:
    reply = hostile.http.post(f"{hostile.server_url}/sandbox/faults", content=b"{")

    assert (reply.status_code, code_of(reply)) == (400, "structure")


TOML = 'seed = 3\n[html_401]\non = "file"\n[[error_status]]\nstatus = 500\n[[error_status]]\n'
JSON = '{"seed": 3, "html_401": {"on": "file"}, "error_status": [{"status": 500}, {}]}'


@pytest.mark.parametrize(("name", "text"), [("f.toml", TOML), ("f.json", JSON)])
def test_a_script_may_be_toml_or_json(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")

    rules = Faults.read(path).rules
    assert [(rule.fault.name, rule.when.on, rule.seed) for rule in rules] == [
        ("error_status", FAULTS["error_status"].kinds, "3:error_status:0"),
        ("error_status", FAULTS["error_status"].kinds, "3:error_status:1"),
        ("html_401", ("file",), "3:html_401:0"),
    ]


@pytest.mark.parametrize("content", [b"[html_401", b"\xff"])
def test_a_file_that_is_no_script_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "faults.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"faults\.toml cannot be read"):
        Faults.read(path)


def test_without_faults_all_is_as_it_was(hostile: Visitor) -> None:
    set_faults(hostile, {})
    manifest = hostile.sign_in().export("", _type="Task")

    assert hostile.get(only_file(manifest)).status_code == 200
