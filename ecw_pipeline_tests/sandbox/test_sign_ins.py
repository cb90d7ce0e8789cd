"""Codes work once, refresh tokens rotate, and each token reads what a person approved."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ecw_pipeline.clock import ManualClock
from ecw_pipeline_tests.builders import present
from ecw_pipeline_tests.person import decide
from ecw_pipeline_tests.sandbox.harness import Visitor, diagnostics, quick, visiting

VERIFIER = "a-verifier-of-forty-three-characters-or-more-1"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
HERE = "http://127.0.0.1:8400/callback"
APPROVED = "launch/patient patient/*.read offline_access"
SECRET = ("sandbox-client", "sandbox-secret")


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return present()


@pytest.fixture(scope="module")
def server(clock: ManualClock) -> Iterator[Visitor]:
    with visiting(quick(token_seconds=10**9), clock=clock) as someone:
        yield someone


def page(server: Visitor, **changes: str) -> str:
    """The address of a sign-in page, changed."""
    wanted = {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": HERE,
        "scope": APPROVED,
        "state": "s1",
        "aud": server.base_url,
        "code_challenge": CHALLENGE.decode(),
        "code_challenge_method": "S256",
    }
    return str(httpx.URL(f"{server.server_url}/authorize", params=wanted | changes))


def answer(url: str, **decision: str) -> dict[str, str]:
    """What the redirect back says."""
    return dict(httpx.URL(decide(url, **decision)).params)


def ask(server: Visitor, auth: Any = SECRET, **form: str) -> httpx.Response:
    return server.http.post(f"{server.server_url}/oauth2/token", data=form, auth=auth)


def exchange(server: Visitor, code: str, auth: Any = SECRET, **changes: str) -> httpx.Response:
    form = {"code": code, "redirect_uri": HERE, "code_verifier": VERIFIER} | changes
    return ask(server, auth, **{"grant_type": "authorization_code", **form})


def refresh(server: Visitor, token: str) -> httpx.Response:
    return ask(server, grant_type="refresh_token", refresh_token=token)


def signed_in(server: Visitor, patient: str = "pat-000001", **changes: str) -> dict[str, Any]:
    code = answer(page(server, **changes), patient=patient)["code"]
    reply: dict[str, Any] = exchange(server, code).raise_for_status().json()
    return reply


def reads(server: Visitor, token: str, path: str) -> httpx.Response:
    return server.http.get(server.base_url + path, headers={"Authorization": f"Bearer {token}"})


def patients(reply: httpx.Response) -> set[str]:
    return {one["resource"]["subject"]["reference"] for one in reply.json()["entry"]}


def test_discovery_tells_of_sign_in(server: Visitor) -> None:
    said = server.get("/.well-known/smart-configuration").json()

    assert said["authorization_endpoint"] == f"{server.server_url}/authorize"
    assert said["revocation_endpoint"] == f"{server.server_url}/oauth2/revoke"
    assert {"authorization_code", "refresh_token"} <= set(said["grant_types_supported"])
    assert {"launch-standalone", "permission-offline"} <= set(said["capabilities"])
    assert {"launch/patient", "offline_access", "patient/*.read"} <= set(said["scopes_supported"])


def test_the_page_shows_what_is_asked_and_for_whom(server: Visitor) -> None:
    shown = httpx.get(page(server)).text

    assert "<code>patient/*.read</code>" in shown
    assert '<option value="pat-000001">' in shown
    assert "<select" not in httpx.get(page(server, scope="user/*.read")).text


def test_an_approval_gives_tokens_for_one_patient(server: Visitor) -> None:
    given = signed_in(server, "pat-000002")

    assert (given["patient"], given["scope"]) == ("pat-000002", APPROVED)
    found = reads(server, given["access_token"], "/Observation")
    assert patients(found) == {"Patient/pat-000002"}
    assert reads(server, given["access_token"], "/Patient/pat-000002").status_code == 200
    assert reads(server, given["access_token"], "/Patient/pat-000001").status_code == 404


def test_a_users_token_reads_all_patients_and_exports_nothing(server: Visitor) -> None:
    given = signed_in(server, scope="user/Observation.rs")

    assert "patient" not in given
    assert "refresh_token" not in given
    assert len(patients(reads(server, given["access_token"], "/Observation"))) > 1
    assert reads(server, given["access_token"], "/Condition").status_code == 403
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    visitor = Visitor(server.server_url, server.http)
    visitor.headers = headers
    assert visitor.kick_off(_type="Observation").status_code == 403


def test_a_refusal_is_told_with_the_state(server: Visitor) -> None:
    told = answer(page(server), decision="deny")

    assert (told["error"], told["state"]) == ("access_denied", "s1")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"aud": "https://elsewhere.example/fhir"}, "invalid_request"),
        ({"state": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "patient/*.read system/*.read"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_a_bad_request_is_sent_back(server: Visitor, changes: dict[str, str], error: str) -> None:
    assert answer(page(server, **changes))["error"] == error


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "stranger"},
        {"redirect_uri": "https://elsewhere.example/callback"},
        {"redirect_uri": "http://192.0.2.1/callback"},
        {"redirect_uri": ""},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_the_clients(
    server: Visitor, changes: dict[str, str]
) -> None:
    shown = httpx.get(page(server, **changes))

    assert shown.status_code == 400
    assert diagnostics(shown)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code_verifier": "another"}, "code_verifier"),
        ({"redirect_uri": HERE + "2"}, "redirect_uri"),
    ],
)
def test_a_code_needs_all_that_belongs_to_it(
    server: Visitor, changes: dict[str, str], words: str
) -> None:
    refused = exchange(server, answer(page(server))["code"], **changes)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert words in refused.json()["error_description"]


def test_a_code_that_nobody_gave_is_refused(server: Visitor) -> None:
    assert exchange(server, "made-up").json()["error"] == "invalid_grant"


def test_a_code_that_comes_twice_ends_the_sign_in(server: Visitor) -> None:
    code = answer(page(server), patient="pat-000001")["code"]
    given = exchange(server, code).json()

    assert exchange(server, code).json()["error"] == "invalid_grant"
    assert reads(server, given["access_token"], "/Patient/pat-000001").status_code == 401
    assert refresh(server, given["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_code_lives_a_minute(server: Visitor, clock: ManualClock) -> None:
    code = answer(page(server))["code"]
    clock.advance(61)

    assert "expired" in exchange(server, code).json()["error_description"]


def test_a_refresh_token_is_good_once_and_gives_the_next(server: Visitor) -> None:
    first = signed_in(server)
    second = refresh(server, first["refresh_token"]).json()
    third = refresh(server, second["refresh_token"]).json()

    assert len({one["refresh_token"] for one in (first, second, third)}) == 3
    assert reads(server, third["access_token"], "/Patient/pat-000001").status_code == 200


def test_a_refresh_token_that_comes_twice_ends_the_sign_in(server: Visitor) -> None:
    first = signed_in(server)
    second = refresh(server, first["refresh_token"]).json()

    assert refresh(server, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(server, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert reads(server, second["access_token"], "/Patient/pat-000001").status_code == 401


def test_a_refresh_token_lives_ninety_days(server: Visitor, clock: ManualClock) -> None:
    given = signed_in(server)
    clock.advance(90 * 86_400)

    assert "expired" in refresh(server, given["refresh_token"]).json()["error_description"]


def test_a_revoked_sign_in_is_over(server: Visitor) -> None:
    given = signed_in(server)
    form = {"token": given["refresh_token"]}
    revoked = server.http.post(f"{server.server_url}/oauth2/revoke", data=form, auth=SECRET)

    assert revoked.status_code == 200
    assert refresh(server, given["refresh_token"]).json()["error"] == "invalid_grant"
    assert reads(server, given["access_token"], "/Patient/pat-000001").status_code == 401


def test_a_revoked_access_token_leaves_the_sign_in(server: Visitor) -> None:
    given = signed_in(server)
    form = {"token": given["access_token"]}
    server.http.post(f"{server.server_url}/oauth2/revoke", data=form, auth=SECRET)

    assert reads(server, given["access_token"], "/Patient/pat-000001").status_code == 401
    assert refresh(server, given["refresh_token"]).status_code == 200


def test_nobody_revokes_without_being_the_client(server: Visitor) -> None:
    given = signed_in(server)
    stranger = {"token": given["refresh_token"], "client_id": "sandbox-app"}
    url = f"{server.server_url}/oauth2/revoke"

    assert server.http.post(url, data=stranger).status_code == 200
    assert server.http.post(url, data=stranger, auth=("x", "y")).status_code == 401
    assert refresh(server, given["refresh_token"]).status_code == 200


def test_an_app_without_a_secret_signs_in_by_its_id(server: Visitor) -> None:
    code = answer(page(server, client_id="sandbox-app"))["code"]
    stolen = exchange(server, code)
    given = exchange(server, code, client_id="sandbox-app", auth=None).json()

    assert "unknown" in stolen.json()["error_description"]
    form = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    assert ask(server, None, client_id="sandbox-app", **form).status_code == 200
    alone = ask(server, None, client_id="sandbox-app", grant_type="client_credentials")
    assert alone.json()["error"] == "unauthorized_client"
