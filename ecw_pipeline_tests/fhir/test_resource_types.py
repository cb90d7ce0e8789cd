"""Resource types and their names in SQL."""

import pytest

from ecw_pipeline.fhir.resource_types import BRIEF_TYPES, is_type_name, snake_case
from ecw_pipeline.fhir.structure import is_resource, resource_types


@pytest.mark.parametrize(
    ("resource_type", "name"),
    [
        ("Patient", "patient"),
        ("MedicationRequest", "medication_request"),
        ("AllergyIntolerance", "allergy_intolerance"),
    ],
)
def test_a_type_is_spelt_in_snake_case(resource_type: str, name: str) -> None:
    assert snake_case(resource_type) == name


def test_no_two_types_share_a_name_in_sql() -> None:
    assert len({snake_case(name) for name in resource_types()}) == len(resource_types())


def test_every_type_of_fhir_is_a_type_name() -> None:
    assert [name for name in resource_types() if not is_type_name(name)] == []


def test_the_types_of_the_brief_are_types_of_fhir() -> None:
    assert [name for name in BRIEF_TYPES if not is_resource(name)] == []


@pytest.mark.parametrize(
    "text",
    ["", "patient", "Pa tient", "../Patient", "Patient/1", "Patient\n", "Pätient", "P" * 65, "P.Q"],
)
def test_what_could_leave_its_folder_is_no_type_name(text: str) -> None:
    assert not is_type_name(text)
