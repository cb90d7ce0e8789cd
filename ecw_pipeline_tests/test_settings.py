"""Settings are read once; one that cannot be read is named, and a secret is never shown."""

from pathlib import Path

import pytest

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.settings import Settings, read_secret_file

SECRET = "s3cret-Value-9"


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting from the machine that runs the tests, and a `.env` of one's own."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    """The words with which the settings, or the connections they lead to, are refused."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment().connections()
    assert caught.value.next_step
    return str(caught.value)


def connections_file(text: str) -> Path:
    path = Path("connections.toml").absolute()
    path.write_text(text)
    return path


def test_an_empty_environment_is_one_connection_named_practice() -> None:
    (only,) = Settings.from_environment().connections()

    assert (only.connection_id, only.provider) == ("practice", "eclinicalworks")


def test_the_environment_makes_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECLINICALWORKS_CLIENT_ID", "me")
    monkeypatch.setenv("ECLINICALWORKS_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("ECW_RESOURCE_TYPES", "Patient, Observation,")
    monkeypatch.setenv("ECW_RATE_WINDOWS", "7/1s, 14/2s")
    (only,) = Settings.from_environment().connections()

    assert only.client_id == "me"
    assert only.client_secret is not None
    assert only.client_secret.get_secret_value() == SECRET
    assert only.resource_types == ("Patient", "Observation")
    assert only.windows == ("7/1s", "14/2s")


def test_dot_env_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("ECLINICALWORKS_CLIENT_ID=file\nECW_GROUP_ID=g1\n")
    monkeypatch.setenv("ECLINICALWORKS_CLIENT_ID", "environment")
    settings = Settings.from_environment()

    assert (settings.client_id, settings.group_id) == ("environment", "g1")


@pytest.mark.parametrize(
    "name", [str(field.validation_alias) for field in Settings.model_fields.values()]
)
def test_a_setting_left_empty_is_a_setting_not_made(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Settings.from_environment()
    monkeypatch.setenv(name, "")

    assert Settings.from_environment() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ECW_EXPORT_LEVEL", "everything"),
        ("ECW_EXPORT_DEADLINE_MINUTES", "soon"),
        ("ECW_ATTACHMENT_TYPES", "application/pdf, html"),
        ("ECW_MAX_ATTACHMENT_MEGABYTES", "0"),
        ("ECW_EXPORT_DEADLINE_MINUTES", "0"),
        ("ECW_EXPORT_DEADLINE_MINUTES", "inf"),
        ("ECW_EXPORT_DEADLINE_MINUTES", "1e300"),
        ("ECW_RESOURCE_TYPES", "Patient,patients"),
        ("ECW_RESOURCE_TYPES", "Patient,../etc"),
        ("ECW_CONNECTION_ID", "../up"),
        ("ECW_CONNECTION_ID", "Main Street"),
        ("ECW_CONNECTION_ID", "practice\n"),
        ("ECW_PARTITIONS_START", "yesterday"),
        ("ECW_PARTITIONS_START", "2026-02-30"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    assert f"{name}:" in refusal()


def test_an_unknown_resource_type_is_told_how_to_write_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ECW_RESOURCE_TYPES", "patients")

    assert "'patients' is not a FHIR resource type (example: Patient)" in refusal()


def test_a_dot_env_that_is_not_utf8_is_named() -> None:
    Path(".env").write_bytes(b"ECLINICALWORKS_CLIENT_ID=\xff\n")

    assert ".env is not UTF-8" in refusal()


def test_the_data_folder_is_where_ecw_data_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_DATA", "elsewhere")

    assert Settings.from_environment().folder.root == tmp_path / "elsewhere"


class TestConnectionsFile:
    """Several practices in one TOML file."""

    @pytest.fixture(autouse=True)
    def named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ECW_CONNECTIONS", "connections.toml")

    def test_each_table_is_a_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAIN_SECRET", SECRET)
        Path("west").write_text(f"{SECRET}-west\n")
        Path("west").chmod(0o600)
        connections_file(
            '[connections.main]\nclient_secret_env = "MAIN_SECRET"\n'
            '[connections.west]\nclient_secret_file = "west"\nresource_types = ["Patient"]\n'
        )
        main, west = Settings.from_environment().connections()

        assert (main.connection_id, west.connection_id) == ("main", "west")
        assert main.secret is not None
        assert west.secret is not None
        assert main.secret.get_secret_value() == SECRET
        assert west.secret.get_secret_value() == f"{SECRET}-west"
        assert west.resource_types == ("Patient",)

    def test_a_missing_file_is_named(self) -> None:
        words = refusal()

        assert "ECW_CONNECTIONS names connections.toml" in words
        assert "No such file" in words

    def test_a_file_that_is_no_toml_is_named_with_its_line(self) -> None:
        connections_file("[connections.main]\nclient_id = = 5\n")

        assert "connections.toml is not TOML" in (words := refusal())
        assert "line 2" in words

    def test_a_file_that_is_not_utf8_is_named(self) -> None:
        Path("connections.toml").write_bytes(b'[connections.a]\nclient_id = "\xff"\n')

        assert "connections.toml is not TOML" in refusal()

    @pytest.mark.parametrize("text", ["", "connections = 5", "[other]\na = 1"])
    def test_a_file_without_a_connection_is_refused(self, text: str) -> None:
        connections_file(text)

        assert "holds no connection" in refusal()

    def test_a_connection_that_is_no_table_is_refused(self) -> None:
        connections_file("[connections]\nmain = 5\n")

        assert "[connections.main] is not a table" in refusal()

    def test_a_secret_in_the_file_is_refused_and_not_repeated(self) -> None:
        connections_file(f'[connections.main]\nclient_secret = "{SECRET}"\n')
        words = refusal()

        assert "[connections.main] holds a secret" in words
        assert "client_secret_env or client_secret_file" in words
        assert SECRET not in words

    def test_an_unknown_key_is_named_without_its_value(self) -> None:
        connections_file(f'[connections.main]\npassword = "{SECRET}"\n')
        words = refusal()

        assert "[connections.main]: password:" in words
        assert SECRET not in words

    def test_a_misspelt_secret_key_is_named(self) -> None:
        connections_file('[connections.main]\nclient_secret_fil = "x"\n')

        assert "client_secret_fil:" in refusal()

    def test_a_secret_variable_that_is_not_set_is_named(self) -> None:
        connections_file('[connections.main]\nclient_secret_env = "NOT_THERE"\n')
        (main,) = Settings.from_environment().connections()

        with pytest.raises(ConfigurationError, match="main takes its secret from NOT_THERE, which"):
            _ = main.secret

    def test_a_connection_name_that_is_no_folder_name_is_refused(self) -> None:
        connections_file('[connections."../up"]\nclient_id = "me"\n')

        assert "connection_id: " in refusal()

    def test_an_unreadable_value_is_named_with_its_connection(self) -> None:
        connections_file('[connections.main]\nlevel = "everything"\n')

        assert "connections.toml, [connections.main]: level:" in refusal()


def test_a_secret_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)

    assert read_secret_file(path, "SETTING") == SECRET


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(mode)

    with pytest.raises(ConfigurationError) as caught:
        read_secret_file(path, "SETTING")

    assert f"SETTING names {path}, which others may read (mode {mode:04o})" in str(caught.value)
    assert caught.value.next_step == f"chmod 600 {path}"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"SETTING names {tmp_path / name}"):
        read_secret_file(tmp_path / name, "SETTING")


def test_a_secret_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.der"
    path.write_bytes(b"\x30\x82\xff\xfe")
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        read_secret_file(path, "SETTING")


@pytest.mark.parametrize("text", [repr, str])
def test_printed_settings_do_not_show_the_secret(
    text: type[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECLINICALWORKS_CLIENT_SECRET", SECRET)

    assert SECRET not in text(Settings.from_environment())
    assert SECRET not in text(Settings.from_environment().connections())
