"""A connection is a preset completed by settings; what is missing is named."""

from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir_client.providers import (
    BRIEF_WINDOWS,
    PROVIDERS,
    Connection,
    Window,
    connect,
    is_loopback,
    parse_window,
)
from ecw_pipeline.settings import ConnectionSettings

SECRET = "s3cret-Value-9"
COMPLETE = {
    "connection_id": "main",
    "client_id": "me",
    "client_secret": SECRET,
    "fhir_endpoint": "https://fhir.example.org/r4",
}


def connected(**changes: Any) -> Connection:
    return connect(ConnectionSettings(**(COMPLETE | changes)))


def refusal(**changes: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        connected(**changes)
    assert caught.value.next_step
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_preset_fills_what_settings_leave_open() -> None:
    made = connected(fhir_endpoint="")

    assert made.base_url == "https://fhir.eclinicalworks.com/fhir/r4"
    assert made.level == "patient"
    assert made.auth_kind == "client_secret_basic"


def test_settings_win_over_the_preset() -> None:
    made = connected(level="system", scopes="system/Patient.read", windows=("3/1s",))

    assert (made.level, made.scopes) == ("system", "system/Patient.read")
    assert made.windows == (Window(3, 1),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("_outputFormat", "no query string"),
        ("_outputFormat=ndjson&_since=2026-01-01", "may not say _since"),
        ("_elements=id&_type=Patient", "may not say _elements, _type"),
    ],
)
def test_export_parameters_that_an_export_decides_itself_are_refused(
    text: str, complaint: str
) -> None:
    assert complaint in refusal(export_parameters=text)


def test_the_brief_windows_are_those_of_the_brief() -> None:
    assert list(BRIEF_WINDOWS) == [
        Window(7, 1),
        Window(14, 2),
        Window(100_000, 86_400, "calendar"),
    ]


def test_the_live_service_counts_by_the_minute_too() -> None:
    assert Window(250, 60, "calendar") in PROVIDERS["eclinicalworks-live"].windows


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"client_id": ""}, "ECLINICALWORKS_CLIENT_ID"),
        ({"client_secret": None}, "ECLINICALWORKS_CLIENT_SECRET"),
        ({"client_secret": ""}, "ECLINICALWORKS_CLIENT_SECRET"),
        ({"level": "group"}, "ECW_GROUP_ID"),
        ({"provider": "eclinicalworks-live", "group_id": "1"}, "ECW_PRIVATE_KEY_FILE"),
        ({"provider": "eclinicalworks-live", "fhir_endpoint": ""}, "ECLINICALWORKS_FHIR_ENDPOINT"),
    ],
)
def test_what_is_missing_is_named(change: dict[str, Any], setting: str) -> None:
    assert setting in refusal(**change)


def test_all_that_is_missing_is_named_at_once() -> None:
    words = refusal(client_id="", client_secret=None)

    assert "lacks ECLINICALWORKS_CLIENT_ID, ECLINICALWORKS_CLIENT_SECRET" in words


def test_a_private_key_needs_no_secret() -> None:
    made = connected(client_secret=None, private_key_file=Path("key.pem"))

    assert made.auth_kind == "private_key_jwt"


def test_an_unknown_provider_is_told_the_known_ones() -> None:
    words = refusal(provider="acme")

    assert "ECW_PROVIDER is 'acme'" in words
    assert "eclinicalworks, eclinicalworks-live, smart-sandbox" in words


@pytest.mark.parametrize(
    "url",
    [
        "http://fhir.example.org/r4",
        "http://127.example.org/r4",
        "http://127.0.0.1.example.org/r4",
        "http://localhost.example.org/r4",
        "http://10.0.0.1/r4",
        "http://0.0.0.0/r4",
    ],
)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    words = refusal(fhir_endpoint=url)

    assert "ECLINICALWORKS_FHIR_ENDPOINT uses plain http" in words
    assert "https://" in words


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8090/r4", "http://localhost/r4", "http://[::1]:1/r4"]
)
def test_plain_http_to_this_machine_is_taken(url: str) -> None:
    assert connected(fhir_endpoint=url).base_url == url


@pytest.mark.parametrize(
    "url", ["fhir.example.org/r4", "ftp://example.org", "https://", "file:///etc", "http://[bad"]
)
def test_an_endpoint_that_is_no_web_address_is_refused(url: str) -> None:
    assert "ECLINICALWORKS_FHIR_ENDPOINT is not a URL" in refusal(fhir_endpoint=url)


def test_a_slash_at_the_end_of_the_endpoint_is_dropped() -> None:
    assert connected(fhir_endpoint="https://a.org/r4/").base_url == "https://a.org/r4"


@pytest.mark.parametrize("host", [None, "", "example.org", "127.example.org", "::2", "128.0.0.1"])
def test_other_hosts_are_not_this_machine(host: str | None) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("7/1s", Window(7, 1)),
        ("14/2s", Window(14, 2)),
        ("250/1min", Window(250, 60, "calendar")),
        ("100000/1day", Window(100_000, 86_400, "calendar")),
        ("5/s", Window(5, 1)),
    ],
)
def test_a_window_is_written_as_limit_and_span(text: str, window: Window) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize("text", ["", "7", "7/", "/1s", "0/1s", "7/0s", "-7/1s", "7/1h", "²/1s"])
def test_what_is_no_window_is_refused(text: str) -> None:
    assert "ECW_RATE_WINDOWS" in refusal(windows=(text,))
