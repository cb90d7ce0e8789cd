"""What a server does not offer or grant is shown, and the rest is asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ecw_pipeline.errors import ConfigurationError, ProtocolError
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.exports import start_exports, wait_for_exports
from ecw_pipeline.stages.forecast import left_to_fetch
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.offers import known_offer
from ecw_pipeline_tests.builders import monday_clock
from ecw_pipeline_tests.odd_server import raw
from ecw_pipeline_tests.pipeline.harness import Site, site
from ecw_pipeline_tests.stages.practice import DAY, practice, small_data


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, data=small_data(tmp_path / "lines"), export_seconds=0.0) as made:
        yield made


def asked_for(*types: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The types of the one export that is asked for when these are wanted."""
    monkeypatch.setenv("ECW_RESOURCE_TYPES", ",".join(types))
    lake = Lake(Settings.from_environment(), monday_clock())
    (connection,) = lake.connections()
    (export,) = start_exports(lake, connection, [DAY])
    return export.resource_types


def in_words() -> str:
    lake = Lake(Settings.from_environment(), monday_clock())
    return known_offer(lake, lake.connections()[0].connection_id).in_words


def test_nothing_is_missing_before_anything_was_asked(small: Site) -> None:
    assert in_words() == ""


def test_a_type_that_is_not_offered_stops_no_other(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked_for("Patient", "Task", monkeypatch=monkeypatch) == ("Patient",)
    assert in_words() == "not offered by this server: Task"


@pytest.mark.parametrize("fault", ["fewer_scopes", "refused_scopes"])
def test_a_type_that_is_not_granted_stops_no_other(
    small: Site, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    small.sandbox.faults.replace({fault: {"resource_types": ["Practitioner"]}})

    assert asked_for("Patient", "Practitioner", monkeypatch=monkeypatch) == ("Patient",)
    assert in_words() == "not granted to this client: Practitioner"


@pytest.mark.parametrize("statement", [raw(404), raw(200, b'{"rest": [{"mode": "server"}]}')])
def test_a_server_that_does_not_say_what_it_has_is_asked_for_what_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: bytes
) -> None:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as one:
        one.proxy.spoil("GET /fhir/r4/metadata", lambda _: statement)
        with pytest.raises(ProtocolError):
            one.ask()
        assert asked_for("Patient", "Practitioner", monkeypatch=monkeypatch) == (
            "Patient",
            "Practitioner",
        )


def test_what_is_left_of_an_export_is_told_in_files_and_time(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_RATE_WINDOWS", "7/1s")
    lake = Lake(Settings.from_environment(), monday_clock())
    (connection,) = lake.connections()
    (asked,) = start_exports(lake, connection, [DAY])
    before = left_to_fetch(lake, asked)
    (arrived,) = wait_for_exports(lake, [asked.export_id])

    assert before == ""
    assert left_to_fetch(lake, arrived).startswith("2 files, ~")
    assert left_to_fetch(lake, arrived).endswith(" s of budget")


def test_where_nothing_is_to_be_had_it_is_said(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="refused the scopes"):
        asked_for("Task", monkeypatch=monkeypatch)


def test_where_no_wanted_type_is_offered_the_setting_is_named(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_SCOPES", "system/Patient.read")

    with pytest.raises(ConfigurationError, match="ECW_RESOURCE_TYPES"):
        asked_for("Task", "Practitioner", monkeypatch=monkeypatch)
    assert in_words() == (
        "not offered by this server: Task; not granted to this client: Practitioner"
    )
