"""A person signs in once, and searches ask as that person until it is over."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import (
    ConfigurationError,
    EcwError,
    MachineError,
    ProtocolError,
    TemporaryError,
)
from ecw_pipeline.fhir_client.auth import Token
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.fhir_client.search import search
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline.fhir_client.sign_in import SignIn, challenge_of, sign_in
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.sandbox.server import RunningSandbox, running_sandbox
from ecw_pipeline_tests.builders import connection, mode_of, present
from ecw_pipeline_tests.fhir_client.test_auth import EC_KEY, PUBLIC, key_file
from ecw_pipeline_tests.odd_server import OddServer, odd_server, raw
from ecw_pipeline_tests.person import go
from ecw_pipeline_tests.sandbox.harness import quick

NAME = "practice"
IS_OVER = r"is over.*sign in again: ecw login --connection practice"


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return present()


@pytest.fixture(scope="module")
def shared(clock: ManualClock) -> Iterator[RunningSandbox]:
    with running_sandbox(quick(patients=4, jwks=PUBLIC), clock=clock) as running:
        yield running


@pytest.fixture
def sandbox(shared: RunningSandbox) -> Iterator[RunningSandbox]:
    httpx.post(f"{shared.server_url}/sandbox/reset-stats")
    yield shared
    shared.faults.replace({})


@pytest.fixture(scope="module")
def odd() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


def free_uri() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{found.getsockname()[1]}/callback"


def app(base_url: str, **changes: Any) -> Connection:
    """A connection that people sign in to."""
    return connection(base_url, **({"redirect_uri": free_uri()} | changes))


@contextmanager
def begun(one: Connection, folder: DataFolder, clock: ManualClock) -> Iterator[SignIn]:
    with (
        open_session(one, folder, clock) as session,
        sign_in(session, folder.sign_in(NAME)) as waiting,
    ):
        yield waiting


def signed_in(
    one: Connection, folder: DataFolder, clock: ManualClock, patient: str = "pat-000001"
) -> Token:
    with begun(one, folder, clock) as waiting:
        assert go(waiting.url, patient=patient).status_code == 200
        return waiting.finish(10)


def subjects(
    one: Connection, folder: DataFolder, clock: ManualClock, *, as_user: bool = True
) -> set[str]:
    """Whose observations a search finds."""
    with open_session(one, folder, clock, as_user=as_user) as session:
        found = map(json.loads, search(session, "Observation"))
        return {one["subject"]["reference"] for one in found}


def kept(folder: DataFolder) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(folder.sign_in(NAME).read_text())
    return document


def token_requests(sandbox: RunningSandbox) -> int:
    seen = httpx.get(f"{sandbox.server_url}/sandbox/stats").json()["by_kind"]
    return int(seen.get("token", 0))


def revoke(sandbox: RunningSandbox, token: str) -> None:
    url, auth = f"{sandbox.server_url}/oauth2/revoke", ("sandbox-client", "sandbox-secret")
    httpx.post(url, data={"token": token}, auth=auth).raise_for_status()


# --- signing in -------------------------------------------------------------------------------


def test_searches_ask_as_the_person_and_exports_as_the_client(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url)
    before = subjects(one, folder, clock)

    token = signed_in(one, folder, clock, patient="pat-000002")

    assert (token.patient_id, token.scope) == (
        "pat-000002",
        "launch/patient offline_access patient/*.read",
    )
    assert subjects(one, folder, clock) == {"Patient/pat-000002"}
    assert subjects(one, folder, clock, as_user=False) == before
    assert len(before) > 1


def test_the_address_says_what_smart_asks_for(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url, resource_types=("Patient", "Observation"))

    with begun(one, folder, clock) as waiting:
        url = httpx.URL(waiting.url)
    with begun(one, folder, clock) as again:
        other = httpx.URL(again.url)

    assert str(url).startswith(f"{sandbox.server_url}/authorize?")
    random = ("state", "code_challenge")
    assert {k: v for k, v in url.params.items() if k not in random} == {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": one.redirect_uri,
        "scope": "launch/patient offline_access patient/Patient.read patient/Observation.read",
        "aud": sandbox.base_url,
        "code_challenge_method": "S256",
    }
    for name in random:
        assert len(url.params[name]) == 43
        assert url.params[name] != other.params[name]


def test_the_challenge_is_that_of_the_rfc() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, Appendix B

    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_tokens_are_their_owners_alone(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    signed_in(app(sandbox.base_url), folder, clock)

    path = folder.sign_in(NAME)
    assert mode_of(path.parent) == 0o700
    assert {mode_of(one) for one in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "changes",
    [
        {"auth_kind": "none", "client_id": "sandbox-app", "client_secret": None},
        {"auth_kind": "client_secret_post"},
        {"auth_kind": "private_key_jwt", "client_secret": None},
    ],
    ids=lambda changes: changes["auth_kind"],
)
def test_any_kind_of_client_can_be_signed_in_to(
    sandbox: RunningSandbox,
    folder: DataFolder,
    clock: ManualClock,
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    if changes["auth_kind"] == "private_key_jwt":
        changes |= {"private_key_file": key_file(tmp_path, json.dumps(EC_KEY.as_dict(True)))}
    one = app(sandbox.base_url, **changes)
    signed_in(one, folder, clock)
    clock.advance(300)

    assert subjects(one, folder, clock) == {"Patient/pat-000001"}


def test_the_scopes_can_be_named_and_a_patient_is_chosen_where_asked(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url, login_scopes="user/Observation.rs offline_access")
    token = signed_in(one, folder, clock)

    assert (token.scope, token.patient_id) == (one.login_scopes, "")
    assert len(subjects(one, folder, clock)) > 1


def test_what_an_address_has_already_stays_in_it(
    odd: OddServer, folder: DataFolder, clock: ManualClock
) -> None:
    base_url = served(odd, authorization_endpoint="https://a.org/sign?tenant=7")

    with begun(app(base_url), folder, clock) as waiting:
        assert waiting.url.startswith("https://a.org/sign?tenant=7&response_type=code")


# --- what goes wrong while signing in ---------------------------------------------------------


def answered(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock, **answer: str
) -> None:
    """Finish a sign-in that a browser answers so; the state is right unless said."""
    with begun(app(sandbox.base_url), folder, clock) as waiting:
        asked = httpx.URL(waiting.url).params
        httpx.get(asked["redirect_uri"], params={"state": asked["state"]} | answer)
        waiting.finish(10)


@pytest.mark.parametrize("state", ["another", "", "ß"])
def test_another_state_is_refused_before_anything_is_asked(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock, state: str
) -> None:
    with pytest.raises(ProtocolError, match="another state"):
        answered(sandbox, folder, clock, state=state, code="abc")

    assert token_requests(sandbox) == 0
    assert not folder.sign_in(NAME).exists()


def test_a_code_that_was_given_for_another_verifier_is_refused(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    with begun(app(sandbox.base_url), folder, clock) as waiting:
        url = httpx.URL(waiting.url).copy_set_param("code_challenge", challenge_of("a thief's"))
        go(str(url))
        with pytest.raises(ConfigurationError, match=r"invalid_grant.*ecw login"):
            waiting.finish(10)

    assert not folder.sign_in(NAME).exists()


def test_who_does_not_approve_is_not_signed_in(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    with begun(app(sandbox.base_url), folder, clock) as waiting:
        go(waiting.url, decision="deny")
        with pytest.raises(ConfigurationError, match="access_denied"):
            waiting.finish(10)

    assert not folder.sign_in(NAME).exists()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"error": "invalid_scope"}, ConfigurationError, "ECW_LOGIN_SCOPES"),
        ({"error": "temporarily_unavailable"}, TemporaryError, "some minutes"),
        ({"error": "server_error", "code": "abc"}, TemporaryError, "some minutes"),
        ({"error": "unauthorized_client"}, ProtocolError, "unauthorized_client"),
        ({"error": "<b>pat-000001</b>"}, ProtocolError, "unknown error"),
        ({}, ProtocolError, "no code"),
        ({"code": ""}, ProtocolError, "no code"),
        ({"code": "made-up"}, ConfigurationError, "invalid_grant"),
    ],
)
def test_who_must_act_when_the_server_refuses(
    sandbox: RunningSandbox,
    folder: DataFolder,
    clock: ManualClock,
    answer: dict[str, str],
    error: type[EcwError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        answered(sandbox, folder, clock, **answer)


def test_scopes_that_the_server_does_not_know_are_named_by_their_setting(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url, login_scopes="patient/Nonsense.read")
    with begun(one, folder, clock) as waiting:
        go(waiting.url)
        with pytest.raises(ConfigurationError, match="ECW_LOGIN_SCOPES"):
            waiting.finish(10)


def test_nobody_is_waited_for_for_ever(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    with (
        begun(app(sandbox.base_url), folder, clock) as waiting,
        pytest.raises(TemporaryError, match=r"nobody signed in within 0.05 s.*REDIRECT_URI"),
    ):
        waiting.finish(0.05)


def test_a_redirect_port_in_use_names_its_setting(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url)
    with (
        socket.create_server(("127.0.0.1", urlsplit(one.redirect_uri).port or 0)),
        pytest.raises(MachineError, match=r"ECLINICALWORKS_REDIRECT_URI.*in use.*register another"),
        begun(one, folder, clock),
    ):
        pass


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "callback",
        "https://127.0.0.1:8400/callback",
        "http://192.0.2.1:8400/callback",
        "http://127.0.0.1.example.org:8400/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:99999/callback",
        "http://[::1:8400/",
    ],
)
def test_a_redirect_uri_that_is_not_of_this_machine_is_refused(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock, uri: str
) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"REDIRECT_URI.*127\.0\.0\.1:8400"),
        begun(app(sandbox.base_url, redirect_uri=uri), folder, clock),
    ):
        pass


def test_a_client_without_an_id_is_told_so(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    nobody = app(sandbox.base_url, client_id="", auth_kind="none")
    with (
        pytest.raises(ConfigurationError, match="ECLINICALWORKS_CLIENT_ID"),
        begun(nobody, folder, clock),
    ):
        pass


def served(odd: OddServer, **smart: str) -> str:
    """A base URL whose server describes itself so."""
    where = {"token_endpoint": odd.url + "/token"} | smart
    odd.answers("/r4/.well-known/smart-configuration", raw(200, json.dumps(where).encode()))
    return odd.url + "/r4"


@pytest.mark.parametrize(
    ("smart", "error"),
    [
        ({}, ConfigurationError),
        ({"authorization_endpoint": "http://192.0.2.1/authorize"}, ProtocolError),
        ({"authorization_endpoint": "/authorize"}, ProtocolError),
    ],
)
def test_nobody_is_sent_to_a_page_that_is_not_there_or_not_https(
    odd: OddServer,
    folder: DataFolder,
    clock: ManualClock,
    smart: dict[str, str],
    error: type[EcwError],
) -> None:
    with pytest.raises(error), begun(app(served(odd, **smart)), folder, clock):
        pass


# --- afterwards -------------------------------------------------------------------------------


def test_a_sign_in_outlives_its_access_token(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url)
    first = signed_in(one, folder, clock)
    clock.advance(300)

    assert subjects(one, folder, clock) == {"Patient/pat-000001"}
    assert kept(folder)["refresh_token"] != first.refresh_token
    assert kept(folder)["patient_id"] == "pat-000001"


def test_an_access_token_that_is_refused_is_renewed(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url)
    first = signed_in(one, folder, clock)
    revoke(sandbox, first.value)

    assert subjects(one, folder, clock) == {"Patient/pat-000001"}


def test_an_old_refresh_token_that_comes_again_ends_the_sign_in(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url)
    stolen = signed_in(one, folder, clock).refresh_token
    clock.advance(300)
    subjects(one, folder, clock)

    form = {"grant_type": "refresh_token", "refresh_token": stolen}
    auth = ("sandbox-client", "sandbox-secret")
    refused = httpx.post(f"{sandbox.server_url}/oauth2/token", data=form, auth=auth)

    assert refused.json()["error"] == "invalid_grant"
    with pytest.raises(ConfigurationError, match=IS_OVER):
        subjects(one, folder, clock)


def test_an_expired_refresh_token_says_to_sign_in_again(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url)
    signed_in(one, folder, clock)
    clock.advance(91 * 86_400)

    with pytest.raises(ConfigurationError, match=IS_OVER):
        subjects(one, folder, clock)


def test_a_revoked_sign_in_says_to_sign_in_again_and_asks_no_more(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url)
    revoke(sandbox, signed_in(one, folder, clock).refresh_token)

    with pytest.raises(ConfigurationError, match=IS_OVER):
        subjects(one, folder, clock)
    asked = token_requests(sandbox)
    with pytest.raises(ConfigurationError, match=IS_OVER):
        subjects(one, folder, clock)

    assert token_requests(sandbox) == asked
    assert signed_in(one, folder, clock)
    assert subjects(one, folder, clock) == {"Patient/pat-000001"}


def test_a_renewal_whose_reply_is_lost_may_end_the_sign_in(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    """A server that has given the next token takes the old one, which is all we have, no more."""
    one = app(sandbox.base_url)
    signed_in(one, folder, clock)
    clock.advance(300)
    sandbox.faults.replace({"lost_reply": {"on": "token", "times": 1}})

    with pytest.raises(ConfigurationError, match=IS_OVER):
        subjects(one, folder, clock)


def test_a_busy_server_ends_no_sign_in(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url)
    signed_in(one, folder, clock)
    clock.advance(300)
    sandbox.faults.replace({"error_status": {"on": "token"}})
    with pytest.raises(TemporaryError):
        subjects(one, folder, clock)
    sandbox.faults.replace({})

    assert subjects(one, folder, clock) == {"Patient/pat-000001"}


def test_without_a_refresh_token_a_sign_in_ends_with_its_access_token(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock
) -> None:
    one = app(sandbox.base_url, login_scopes="launch/patient patient/*.read")
    assert signed_in(one, folder, clock).refresh_token == ""
    assert subjects(one, folder, clock) == {"Patient/pat-000001"}
    clock.advance(300)

    with pytest.raises(ConfigurationError, match=IS_OVER):
        subjects(one, folder, clock)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"value": 5}'])
def test_a_file_that_cannot_be_read_says_to_sign_in_again(
    sandbox: RunningSandbox, folder: DataFolder, clock: ManualClock, text: str
) -> None:
    one = app(sandbox.base_url)
    signed_in(one, folder, clock)
    folder.sign_in(NAME).write_text(text)

    with pytest.raises(ConfigurationError, match=IS_OVER):
        subjects(one, folder, clock)


def test_a_sign_in_goes_to_no_other_server_or_client(
    sandbox: RunningSandbox, odd: OddServer, folder: DataFolder, clock: ManualClock
) -> None:
    signed_in(app(sandbox.base_url), folder, clock)
    elsewhere = odd.url + "/elsewhere"
    before = len(odd.arrivals)

    for other in (app(elsewhere), app(sandbox.base_url, client_id="another")):
        with pytest.raises(ConfigurationError, match=IS_OVER):
            subjects(other, folder, clock)

    assert len(odd.arrivals) == before


def test_a_server_that_keeps_its_refresh_token_is_asked_by_it_again(
    odd: OddServer, folder: DataFolder, clock: ManualClock
) -> None:
    base_url = served(odd, authorization_endpoint=odd.url + "/authorize")
    given = {"access_token": "a1", "refresh_token": "r1", "patient": "p1", "expires_in": 60}
    renewed = {"access_token": "a2", "refresh_token": None, "scope": None, "expires_in": 60}
    replies = (raw(200, json.dumps(one).encode()) for one in (given, renewed, renewed))
    odd.answers("/token", *replies)
    odd.answers("/r4/Observation", raw(200, b'{"resourceType":"Bundle"}'))
    one = app(base_url)
    with begun(one, folder, clock) as waiting:
        asked = httpx.URL(waiting.url).params
        httpx.get(asked["redirect_uri"], params={"state": asked["state"], "code": "c1"})
        waiting.finish(10)
    for _ in range(2):
        clock.advance(60)
        subjects(one, folder, clock)

    sent = [dict(httpx.QueryParams(a.body)) for a in odd.arrivals if a.path == "/token"]
    assert [one.get("refresh_token") for one in sent[-2:]] == ["r1", "r1"]
    assert odd.authorizations("/r4/Observation")[-1] == "Bearer a2"
    assert kept(folder)["scope"] == waiting.asked


# A whole process that searches as the person who signed in.
PROCESS = """
import sys
from pathlib import Path
from ecw_pipeline.clock import SystemClock
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline.layout import DataFolder
from ecw_pipeline_tests.builders import connection

one, folder = connection(sys.argv[1]), DataFolder(Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
with open_session(one, folder, SystemClock(), as_user=True) as session:
    print(session.tokens.current().value)
"""


def test_processes_that_renew_at_once_renew_once(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with running_sandbox(quick(patients=1, token_seconds=31)) as sandbox:
        one = app(sandbox.base_url)
        signed_in(one, folder, present())
        path = folder.sign_in(NAME)
        path.write_text(json.dumps(kept(folder) | {"expires_at": 0.0}))
        # The first is told to come again in a second: time for the second to ask meanwhile.
        busy = {"on": "token", "times": 1}
        sandbox.faults.replace({"token_lifetime": {"seconds": 300}, "error_status": busy})
        words = [sys.executable, "-c", PROCESS, sandbox.base_url, str(folder.root)]
        pipe = subprocess.PIPE
        processes = [subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=60)[0].strip() for process in processes]

        assert token_requests(sandbox) == 3
        assert set(said) == {kept(folder)["value"]}
        with open_session(one, folder, present(), as_user=True) as session:
            assert session.tokens is not None
            assert session.tokens.current(refused=said[0]).value not in said
