"""Exports of some resources only: loaded like all else, and no word of what they lack."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ecw_pipeline.cli.app import app
from ecw_pipeline.errors import ConfigurationError, TemporaryError
from ecw_pipeline.fhir.restriction import Restriction
from ecw_pipeline.stages.exports import start_exports
from ecw_pipeline.stages.loading import build_marts, load_exports
from ecw_pipeline.stages.plans import NEWS, Wish
from ecw_pipeline_tests.stages.practice import DAY, Practice, practice, write_lines

TUESDAY = "2026-01-06"


def _observation(name: str, patient: str, category: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "subject": {"reference": f"Patient/{patient}"},
        "category": [{"coding": [{"system": "u:c", "code": category}]}],
        "code": {"text": "any"},
    }


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Practice]:
    lines = tmp_path / "lines"
    write_lines(
        lines, "Patient", *({"resourceType": "Patient", "id": name} for name in ("ann", "bob"))
    )
    write_lines(
        lines,
        "Observation",
        _observation("a1", "ann", "laboratory"),
        _observation("a2", "ann", "vital-signs"),
        _observation("b1", "bob", "laboratory"),
    )
    with practice(tmp_path, data=lines) as made:
        yield made


LABS = Wish(restriction=Restriction.of(["Observation?category=laboratory"]))
ANN = Wish(restriction=Restriction.of(patients=["Patient/ann"]))


def _pull(one: Practice, wish: Wish, day: str = DAY) -> None:
    assert one.land(*one.arrive(day, wish, ask_again=True)) == {}
    load_exports(one.lake)


def _names(one: Practice, table: str) -> list[str]:
    return [name for (name,) in one.rows(f"SELECT {table}_id FROM core.{table} ORDER BY 1")]


def test_a_filter_brings_what_its_search_finds_of_its_type_alone(one: Practice) -> None:
    _pull(one, LABS)

    assert _names(one, "observation") == ["a1", "b1"]
    (export,) = one.lake.ledger.exports()
    assert export.resource_types == ("Observation",)


def test_a_patient_is_asked_for_with_a_body(one: Practice) -> None:
    _pull(one, ANN)

    assert (_names(one, "patient"), _names(one, "observation")) == (["ann"], ["a1", "a2"])
    assert one.proxy.arrived("POST /fhir/r4/$export") == 1


def test_what_was_asked_of_some_resources_leaves_watermarks_and_absences_as_they_were(
    one: Practice,
) -> None:
    _pull(one, NEWS)
    (whole,) = one.lake.ledger.exports()

    _pull(one, ANN)
    _pull(one, NEWS, TUESDAY)

    assert _names(one, "patient") == ["ann", "bob"]
    assert [export.since for export in one.lake.ledger.exports()] == [
        None,
        None,
        whole.transaction_time,
    ]


def test_a_day_that_was_only_asked_for_some_resources_is_not_answered(one: Practice) -> None:
    _pull(one, LABS)

    asked = one.ask(DAY)

    assert [(export.since, bool(export.restriction)) for export in asked] == [(None, False)]


def test_while_some_resources_are_under_way_all_must_wait(tmp_path: Path) -> None:
    data = write_lines(tmp_path / "lines", "Patient", {"resourceType": "Patient", "id": "ann"})
    with practice(tmp_path, data=data, export_seconds=600.0) as slow:
        (first,) = slow.ask(DAY, ANN)

        assert [export.export_id for export in slow.ask(DAY, ANN)] == [first.export_id]
        for other in (NEWS, Wish(is_full=True), LABS):
            with pytest.raises(TemporaryError, match="under way that brings less"):
                slow.ask(DAY, other)


def test_how_fresh_and_complete_data_is_does_not_follow_from_some_resources(
    one: Practice,
) -> None:
    _pull(one, NEWS)
    freshness = [one.lake.marts["data_freshness"]]
    build_marts(one.lake, freshness, [])
    asked = "SELECT resource_type, data_as_of, exports_loaded FROM marts.data_freshness"
    before = one.rows(f"{asked} WHERE resource_type = 'Patient'")

    one.site.advance(1)
    _pull(one, ANN)
    build_marts(one.lake, freshness, [])

    ((_, as_of, loads),) = one.rows(f"{asked} WHERE resource_type = 'Patient'")
    assert (as_of, loads) == (before[0][1], 2)
    assert one.rows("SELECT restriction FROM ops.export WHERE restriction <> ''") == [
        ("1 patient",)
    ]


def test_the_command_narrows(one: Practice) -> None:
    said = CliRunner().invoke(
        app, ["export", "--type", "Observation", "--patient", "bob"], catch_exceptions=False
    )

    assert said.exit_code == 0, said.output
    assert _names(one, "observation") == ["b1"]
    assert _names(one, "patient") == []


@pytest.mark.parametrize("word", ["Observation", "Nothing?code=1", "Observation?", ""])
def test_a_filter_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a filter"):
        Restriction.of([word])


@pytest.mark.parametrize("word", ["", "Patient/", "a b", "../x", "a" * 65])
def test_an_id_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the id of a patient"):
        Restriction.of(patients=[word])


def test_a_type_that_is_not_offered_is_said(one: Practice) -> None:
    with pytest.raises(ConfigurationError, match="not offered by this server: Task"):
        one.ask(DAY, Wish(resource_types=("Patient", "Task")))


def test_a_type_that_is_none_is_refused() -> None:
    said = CliRunner().invoke(app, ["export", "--type", "Patients"])

    assert said.exit_code == 2
    assert "Patients is not a FHIR resource type" in said.output


def test_a_day_that_was_only_asked_for_some_types_is_not_answered(one: Practice) -> None:
    _pull(one, Wish(resource_types=("Patient",)))

    asked = one.ask(DAY)

    since = {export.resource_types: export.since for export in asked}
    assert since.keys() == {("Observation",), ("Patient",)}
    assert since["Observation",] is None
    assert since["Patient",] is not None
    (answers,) = one.lake.ledger.answered_days(asked[0].connection_id).values()
    assert set(answers) == {export.export_id for export in asked}


def test_while_some_types_are_under_way_others_must_wait(tmp_path: Path) -> None:
    data = write_lines(tmp_path / "lines", "Patient", {"resourceType": "Patient", "id": "ann"})
    write_lines(tmp_path / "lines", "Task", {"resourceType": "Task", "id": "t"})
    with practice(tmp_path, data=data, export_seconds=600.0) as slow:
        (first,) = slow.ask(DAY, Wish(resource_types=("Patient",)))

        assert slow.ask(DAY, Wish(resource_types=("Patient",)))[0].export_id == first.export_id
        for other in (NEWS, Wish(resource_types=("Patient", "Task"))):
            with pytest.raises(TemporaryError, match="under way that brings less"):
                slow.ask(DAY, other)


def test_an_export_over_another_group_is_no_answer(one: Practice) -> None:
    lake, usual = one.lake, one.lake.connections()[0]
    elsewhere = replace(usual, level="patient")

    (apart,) = start_exports(lake, elsewhere, [DAY], Wish(is_full=True))

    assert apart.is_partial
    with pytest.raises(TemporaryError, match="under way that brings less"):
        one.ask(DAY)
