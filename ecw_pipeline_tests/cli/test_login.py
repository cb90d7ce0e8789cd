"""`ecw login`: the browser is sent to the server, and `ecw search` then asks as the person."""

import json
import signal
import sys
from pathlib import Path

import pytest

from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.cli.command import Finished, Place, settings_for
from ecw_pipeline_tests.fhir_client.test_sign_in import free_uri, revoke

# What `webbrowser` opens an address with.
PERSON = f"{sys.executable} -m ecw_pipeline_tests.person %s"
ROOT = Path(__file__).parents[2]


def settings(sandbox: RunningSandbox, **changes: str) -> dict[str, str]:
    own = {
        "ECLINICALWORKS_REDIRECT_URI": free_uri(),
        "ECW_LOGIN_SCOPES": "launch/patient offline_access patient/*.read",
        "BROWSER": PERSON,
        "PYTHONPATH": str(ROOT),
    }
    return settings_for(sandbox) | own | changes


def patients(found: Finished) -> list[str]:
    assert found.exit_code == 0, found.stderr
    return [json.loads(line)["id"] for line in found.stdout.splitlines()]


def test_who_signs_in_sees_the_chosen_patient(sandbox: RunningSandbox, place: Place) -> None:
    known = settings(sandbox)
    everybody = patients(place.run("search", "Patient", settings=known))

    signed_in = place.run("login", settings=known)

    assert (signed_in.exit_code, signed_in.stderr) == (0, "")
    assert f"{sandbox.server_url}/authorize?" in signed_in.stdout
    assert "signed in to practice: launch/patient" in signed_in.stdout
    assert 'ecw search "Observation?patient=pat-000001"' in signed_in.stdout
    assert patients(place.run("search", "Patient", settings=known)) == ["pat-000001"]
    assert len(everybody) == 3


def test_a_revoked_sign_in_is_told_in_words(sandbox: RunningSandbox, place: Place) -> None:
    known = settings(sandbox)
    place.run("login", settings=known)
    (path,) = (place.data / "state" / "sign_ins").glob("*.json")
    token = json.loads(path.read_text())["refresh_token"]
    revoke(sandbox, token)

    refused = place.run("search", "Patient", settings=known)

    assert refused.exit_code == 3
    assert refused.stderr.startswith("error: the sign-in to connection 'practice' is over")
    assert "next: sign in again: ecw login --connection practice" in refused.stderr
    assert token not in refused.stderr


def test_a_sign_in_that_cannot_be_renewed_says_how_long_it_lasts(
    sandbox: RunningSandbox, place: Place
) -> None:
    once = settings(sandbox, ECW_LOGIN_SCOPES="launch/patient patient/*.read")
    signed_in = place.run("login", settings=once)

    assert "the server gave no refresh token: this lasts " in signed_in.stdout


def test_ctrl_c_ends_the_waiting(sandbox: RunningSandbox, place: Place) -> None:
    with place.start("login", settings=settings(sandbox, BROWSER="true")) as waiting:
        try:
            assert waiting.stdout is not None
            assert waiting.stdout.readline().startswith("sign in here")
            waiting.send_signal(signal.SIGINT)
            _, stderr = waiting.communicate(timeout=20)
        finally:
            waiting.kill()

    assert (waiting.returncode, "Traceback" in stderr) == (130, False)


def test_of_several_connections_one_must_be_named(
    sandbox: RunningSandbox, place: Place, tmp_path: Path
) -> None:
    keys = f"""
        provider = "smart-sandbox"
        fhir_endpoint = "{sandbox.base_url}"
        client_id = "sandbox-app"
        auth_kind = "none"
        redirect_uri = "{free_uri()}"
    """
    file = tmp_path / "connections.toml"
    file.write_text(f"[connections.one]\n{keys}\n[connections.two]\n{keys}")
    known = settings(sandbox, ECW_CONNECTIONS=str(file))

    refused = place.run("login", settings=known)
    signed_in = place.run("login", "--connection", "two", settings=known)

    assert refused.exit_code == 3
    assert "--connection one or two" in refused.stderr
    assert signed_in.exit_code == 0
    assert [p.name for p in place.data.glob("state/sign_ins/*.json")] == ["two.json"]


@pytest.mark.parametrize("uri", ["", "https://practice.example.org/callback"])
def test_without_an_address_to_come_back_to_nobody_is_sent_away(
    sandbox: RunningSandbox, place: Place, uri: str
) -> None:
    refused = place.run("login", settings=settings(sandbox, ECLINICALWORKS_REDIRECT_URI=uri))

    assert refused.exit_code == 3
    assert "ECLINICALWORKS_REDIRECT_URI" in refused.stderr
    assert "authorize" not in refused.stdout
