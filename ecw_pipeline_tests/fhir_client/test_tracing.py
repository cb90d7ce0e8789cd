"""What is told of requests: enough to find a fault, nothing of a patient."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ecw_pipeline.errors import TemporaryError
from ecw_pipeline.fhir_client.tracing import redacted
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline_tests.stages.practice import DAY, practice, small_data

NAME = "ecw_pipeline.requests"


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    yield
    log = logging.getLogger(NAME)
    log.handlers.clear()
    log.setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://a.org/r4/Patient/123?_since=x", "https://a.org/r4/Patient/…"),
        ("https://a.org/r4/Patient/12-3/$everything", "https://a.org/r4/Patient/…/$everything"),
        ("https://user:pass@a.org/r4/Patient/$export", "https://a.org/r4/Patient/$export"),
        ("https://a.org/r4/Group/all/$export", "https://a.org/r4/Group/all/$export"),
        ("https://a.org:8443/r4/metadata", "https://a.org:8443/r4/metadata"),
        ("https://a.org/r4/Observation/_search", "https://a.org/r4/Observation/_search"),
    ],
)
def test_ids_queries_and_credentials_are_left_out(url: str, told: str) -> None:
    assert redacted(httpx.URL(url)) == told


@pytest.mark.parametrize(
    ("name", "value", "is_told"),
    [
        ("ECW_DEBUG", "1", True),
        ("DEBUG", "eclinicalworks:*", True),
        ("DEBUG", "app, eclinicalworks:*", True),
        ("DEBUG", "app:*", False),
        ("ECW_DEBUG", "", False),
    ],
)
def test_requests_are_told_where_that_is_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, value: str, is_told: bool
) -> None:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as one:
        one.set(name, value)
        Lake.from_environment()
        one.pull(DAY)
    told = capfd.readouterr().err

    line = r"eclinicalworks GET http://127\.0\.0\.1:\d+/fhir/r4/\$export → 202.* in \d+ ms"
    assert bool(re.search(line, told)) == is_told
    assert "sandbox-secret" not in told
    assert "_type=" not in told


def test_what_breaks_is_told_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as one:
        one.set("ECW_DEBUG", "1")
        one.set("ECLINICALWORKS_FHIR_ENDPOINT", "http://127.0.0.1:9/fhir/r4")
        lake = Lake.from_environment()
        with lake.client("practice") as client, pytest.raises(TemporaryError):
            client.offered_types()

    assert "→ ConnectError in" in capfd.readouterr().err


def test_it_is_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ECW_DEBUG", "DEBUG"):
        monkeypatch.delenv(name, raising=False)

    assert not Settings.from_environment().traces_requests
