"""Five questions, and a file that answers them to everything else."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ecw_pipeline.cli.app import app
from ecw_pipeline.cli.init import write_settings
from ecw_pipeline.errors import BadDataError
from ecw_pipeline.settings import Settings
from ecw_pipeline_tests.cli.command import Place
from ecw_pipeline_tests.stages.practice import practice, small_data

NAMES = (
    *("ECW_PROVIDER", "ECLINICALWORKS_FHIR_ENDPOINT", "ECLINICALWORKS_CLIENT_ID"),
    *("ECLINICALWORKS_CLIENT_SECRET", "ECW_PRIVATE_KEY_FILE", "ECW_GROUP_ID"),
    *("ECW_RESOURCE_TYPES", "ECW_DATA", "ECW_CONNECTIONS"),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and nothing in the environment."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    return tmp_path


def _init(*answers: str, check: bool = False) -> str:
    words = ["init"] if check else ["init", "--no-check"]
    result = CliRunner().invoke(app, words, input="".join(f"{one}\n" for one in answers))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_answers_are_what_is_read_afterwards(here: Path) -> None:
    said = _init("eclinicalworks", "https://ehr.example/r4/", "me", "s3cr3t", "Patient, Task")

    (connection,) = Settings.from_environment().connections()
    assert connection.fhir_endpoint == "https://ehr.example/r4"
    assert connection.client_id == "me"
    assert connection.client_secret is not None
    assert connection.client_secret.get_secret_value() == "s3cr3t"
    assert connection.resource_types == ("Patient", "Task")
    assert (here / ".env").stat().st_mode & 0o777 == 0o600
    assert "s3cr3t" not in said


def test_without_a_secret_a_key_is_asked_for(here: Path) -> None:
    _init("smart-sandbox", "http://127.0.0.1:8090/fhir/r4", "sandbox-client", "", "key.jwk", "")

    (connection,) = Settings.from_environment().connections()
    assert (connection.private_key_file, connection.client_secret) == (here / "key.jwk", None)


def test_where_nobody_answers_nothing_is_written(place: Place) -> None:
    ended = place.run("init")

    assert ended.exit_code == 3
    assert "error: a question was not answered, and nothing written\n  next: " in ended.stderr
    assert not (place.work / ".env").exists()


def test_what_the_service_needs_is_asked_for(here: Path) -> None:
    _init("eclinicalworks-live", "https://ehr.example/r4/AB12", "me", "key.jwk", "g-1")

    (connection,) = Settings.from_environment().connections()
    assert connection.private_key_file == here / "key.jwk"
    assert connection.group_id == "g-1"


def test_a_wrong_answer_is_asked_again(here: Path) -> None:
    services, urls = ("ecw", "eclinicalworks"), ("http://ehr.example/r4", "https://b.example")
    said = _init(*services, *urls, "me", "s", "")

    assert "one of eclinicalworks" in said
    assert "https" in said
    assert Settings.from_environment().fhir_endpoint == "https://b.example"


def test_other_lines_stay_and_old_answers_go(here: Path) -> None:
    (here / ".env").write_text("# mine\nECW_DATA=here\nexport ECLINICALWORKS_CLIENT_ID=old\n")

    _init("eclinicalworks", "https://ehr.example/r4", "new", "s", "")

    text = (here / ".env").read_text()
    assert text.startswith("# mine\nECW_DATA=here\nECW_PROVIDER=")
    assert "old" not in text
    assert Settings.from_environment().client_id == "new"


def test_it_ends_by_checking_the_connection(tmp_path: Path) -> None:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as one:
        url = one.proxy.url + "/fhir/r4"
        for name in NAMES:
            if name != "ECW_DATA":
                one.environment.delenv(name, raising=False)
        one.environment.chdir(tmp_path)
        one.environment.setitem(Settings.model_config, "env_file", ".env")
        said = _init("smart-sandbox", url, "sandbox-client", "sandbox-secret", "", check=True)

    assert "ok       practice  token" in said
    assert "failed" not in said


def test_a_file_that_is_no_text_is_left_alone(here: Path) -> None:
    (here / ".env").write_bytes(b"\xff\xfe")

    with pytest.raises(BadDataError):
        write_settings(here / ".env", {"A": "b"})
    assert (here / ".env").read_bytes() == b"\xff\xfe"


visible = st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"])


@given(secret=st.text(visible, min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_secret_is_read_back_as_it_was(here: Path, secret: str) -> None:
    write_settings(here / ".env", {"ECLINICALWORKS_CLIENT_SECRET": secret})

    found = Settings.from_environment().client_secret
    assert found is not None
    assert found.get_secret_value() == secret
