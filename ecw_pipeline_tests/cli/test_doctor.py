"""`ecw doctor` and `ecw keys` as an operator runs them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ecw_pipeline.cli.app import app
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.cli.command import settings_for


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECW_DATA", str(tmp_path / "data"))


def run(*words: str, **settings: str) -> Result:
    return CliRunner().invoke(app, words, env=settings)


def test_the_doctor_finds_nothing_where_all_is_well(sandbox: RunningSandbox) -> None:
    ended = run("doctor", **settings_for(sandbox))

    assert ended.exit_code == 0, ended.stdout
    assert "practice  token: given" in ended.stdout


def test_the_doctors_exit_code_is_that_of_the_first_failure(sandbox: RunningSandbox) -> None:
    wrong = settings_for(sandbox) | {"ECLINICALWORKS_CLIENT_SECRET": "s3cret-wrong"}

    ended = run("doctor", "--json", **wrong)

    (failed,) = [one for one in json.loads(ended.stdout) if one["status"] == "failed"]
    assert (failed["link"], ended.exit_code) == ("token", 3)
    assert "s3cret" not in ended.output


def test_settings_that_lack_something_stop_the_doctor_at_no_other_connection(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    whole = settings_for(sandbox)
    endpoint, client = whole["ECLINICALWORKS_FHIR_ENDPOINT"], whole["ECLINICALWORKS_CLIENT_ID"]
    (tmp_path / "secret").write_text(whole["ECLINICALWORKS_CLIENT_SECRET"])
    (tmp_path / "connections.toml").write_text(
        f"""
        [connections.north]
        fhir_endpoint = "{endpoint}"

        [connections.south]
        fhir_endpoint = "{endpoint}"
        client_id = "{client}"
        client_secret_file = "{tmp_path / "secret"}"
        """
    )
    (tmp_path / "secret").chmod(0o600)

    ended = run("doctor", "--json", ECW_CONNECTIONS=str(tmp_path / "connections.toml"))

    found = json.loads(ended.stdout)
    (lacking,) = [one for one in found if one["connection_id"] == "north"]
    assert (lacking["link"], lacking["status"], ended.exit_code) == ("settings", "failed", 3)
    assert "ECLINICALWORKS_CLIENT_ID" in lacking["said"]
    assert {"link": "token", "status": "ok"}.items() <= next(
        one for one in found if (one["connection_id"], one["link"]) == ("south", "token")
    ).items()


def test_the_doctor_says_what_to_do(sandbox: RunningSandbox) -> None:
    wrong = settings_for(sandbox) | {"ECLINICALWORKS_FHIR_ENDPOINT": "http://127.0.0.1:1/r4"}

    ended = run("doctor", **wrong)

    assert ended.exit_code == 4
    assert "failed   practice  network: cannot reach 127.0.0.1" in ended.stdout
    assert "next: check the network" in ended.stdout


def test_a_key_is_made_and_its_public_half_printed() -> None:
    assert run("keys", "new", "one.jwk", "--algorithm", "ES384").exit_code == 0

    (key,) = json.loads(run("keys", "jwks", "one.jwk").stdout)["keys"]

    assert (key["kty"], key["crv"], "d" in key) == ("EC", "P-384", False)
    assert key["kid"]


def test_a_key_that_is_there_is_not_overwritten() -> None:
    run("keys", "new", "one.jwk", "--algorithm", "ES384")

    ended = run("keys", "new", "one.jwk")

    assert isinstance(ended.exception, ConfigurationError)
    assert "exists already" in str(ended.exception)
