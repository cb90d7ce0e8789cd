"""Legal FHIR that is easy to trip over, and what is not quite FHIR: tables must not fail on it."""

from typing import Any

import pytest

from ecw_pipeline_tests.view_definitions.counting import rows_owed
from ecw_pipeline_tests.view_definitions.tables import (
    built_in_tables,
    example,
    main_table,
    table_rows,
)

every_table = pytest.mark.parametrize("name", sorted(built_in_tables()))


@every_table
def test_more_repeats_than_expected_give_more_rows_and_no_error(name: str) -> None:
    resource = repeated(example(main_table(name))["resource"], 3)

    rows = table_rows(name, resource)

    assert len(rows) == rows_owed(name, resource)


@every_table
def test_a_resource_with_nothing_but_an_id_is_one_row_of_its_main_table(name: str) -> None:
    table = built_in_tables()[name]

    rows = table_rows(name, {"resourceType": table.resource_type, "id": "bare"})

    assert len(rows) == (1 if table.is_main else 0)


@every_table
def test_empty_lists_and_objects_are_as_good_as_absent(name: str) -> None:
    resource = emptied(example(main_table(name))["resource"])

    assert len(table_rows(name, resource)) == rows_owed(name, resource)


def repeated(value: Any, times: int) -> Any:
    """The same JSON with every list that many times as long."""
    if isinstance(value, dict):
        return {key: repeated(inner, times) for key, inner in value.items()}
    return [repeated(inner, times) for inner in value * times] if isinstance(value, list) else value


def emptied(resource: dict[str, Any]) -> dict[str, Any]:
    kept = ("resourceType", "id")
    empty: dict[type, Any] = {list: [], dict: {}}
    return {
        key: value if key in kept else empty.get(type(value), value)
        for key, value in resource.items()
    }


@pytest.mark.parametrize(
    ("received", "understood"),
    [
        ("2024", "2024-01-01T00:00:00Z"),
        ("2024-05", "2024-05-01T00:00:00Z"),
        ("2024-05-06", "2024-05-06T00:00:00Z"),
        ("2024-05-06T10:00:00+02:00", "2024-05-06T08:00:00Z"),
        ("2024-05-06T10:00:00.123456789Z", "2024-05-06T10:00:00.123456Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("2024-02-31", None),
        ("2024-13", None),
        ("last spring", None),
        ("", None),
    ],
)
def test_a_date_keeps_its_text_and_is_a_moment_if_it_can(
    received: str, understood: str | None
) -> None:
    condition = {"resourceType": "Condition", "id": "c", "onsetDateTime": received}

    (row,) = table_rows("condition", condition)

    assert row["onset_date_time"] == received
    assert row.get("onset_at") == understood


def test_a_preferred_coding_is_never_mixed_with_another() -> None:
    local = {"system": "urn:local", "code": "S", "display": "sugar"}
    loinc = {"system": "http://loinc.org", "code": "2345-7"}
    observation = {"resourceType": "Observation", "id": "o", "code": {"coding": [local, loinc]}}

    (row,) = table_rows("observation", observation)

    assert row["code"] == "2345-7"
    assert "code_display" not in row


def test_without_a_preferred_coding_the_first_is_taken() -> None:
    codings = [{"system": "urn:a", "code": "A"}, {"system": "urn:b", "code": "B"}]
    observation = {"resourceType": "Observation", "id": "o", "code": {"coding": codings}}

    (row,) = table_rows("observation", observation)

    assert (row["code"], row["code_system"]) == ("A", "urn:a")
    assert "loinc_code" not in row


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ({"text": "Ann of the Hill", "family": "Hill"}, "Ann of the Hill"),
        ({"family": "Hill", "given": ["Ann", "Eva"]}, "Ann Eva Hill"),
        ({"family": "Hill"}, "Hill"),
        ({"given": ["Ann"]}, "Ann"),
        ({"given": [None, "Eva"], "_given": [{"id": "masked"}, None]}, "Eva"),
        ({"use": "official"}, None),
    ],
)
def test_a_patient_is_shown_by_what_is_known_of_the_name(
    name: dict[str, Any], shown: str | None
) -> None:
    (row,) = table_rows("patient", {"resourceType": "Patient", "id": "p", "name": [name]})

    assert row.get("name_text") == shown


@pytest.mark.parametrize(
    ("encounter", "is_telehealth"),
    [
        ({"class": {"code": "VR"}}, True),
        ({"class": {"code": "AMB"}}, False),
        ({}, False),
        ({"type": [{"coding": [{"system": "http://snomed.info/sct", "code": "448337001"}]}]}, True),
        ({"type": [{"coding": [{"system": "urn:local", "code": "448337001"}]}]}, False),
        (
            {
                "class": {"code": "AMB"},
                "type": [
                    {"text": "x"},
                    {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "99442"}]},
                ],
            },
            True,
        ),
    ],
)
def test_telehealth_is_told_by_class_or_type(
    encounter: dict[str, Any], is_telehealth: bool
) -> None:
    (row,) = table_rows("encounter", {"resourceType": "Encounter", "id": "e", **encounter})

    assert row["is_telehealth"] is is_telehealth


@pytest.mark.parametrize(
    ("deceased", "is_deceased"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2020"}, True),
    ],
)
def test_death_is_known_by_flag_or_date(deceased: dict[str, Any], is_deceased: bool) -> None:
    (row,) = table_rows("patient", {"resourceType": "Patient", "id": "p", **deceased})

    assert row["is_deceased"] is is_deceased
