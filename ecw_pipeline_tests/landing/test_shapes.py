"""One decode finds elements of the wrong JSON type, and lets everything else pass."""

from typing import Any

import msgspec
import pytest

from ecw_pipeline.fhir.structure import resource_types
from ecw_pipeline.landing.shapes import Envelope, shape_of
from ecw_pipeline_tests.builders import line


def fits(resource: dict[str, Any]) -> bool:
    try:
        msgspec.json.decode(line(resource), type=shape_of(resource["resourceType"]))
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("resource_type", resource_types())
def test_the_smallest_resource_of_every_type_fits(resource_type: str) -> None:
    assert fits({"resourceType": resource_type, "id": "a"})


def test_a_type_that_r4_does_not_know_is_judged_by_its_envelope() -> None:
    assert shape_of("Unheard") is Envelope


@pytest.mark.parametrize(
    "elements",
    [
        {"active": True, "birthDate": "1990", "name": [{"given": ["A", None], "family": None}]},
        {"birthDate": None, "_birthDate": {"extension": []}},
        {"unheard": {"of": [1]}},
        {"extension": [{"url": "u", "valueDecimal": 1.5}]},
        {"contained": [{"resourceType": "Organization", "id": 5}]},
        {"multipleBirthInteger": 2},
    ],
)
def test_what_fhir_allows_fits(elements: dict[str, Any]) -> None:
    assert fits({"resourceType": "Patient", "id": "a", **elements})


@pytest.mark.parametrize(
    "elements",
    [
        {"active": "yes"},
        {"birthDate": 1990},
        {"name": {"family": "A"}},
        {"name": [{"family": ["A"]}]},
        {"maritalStatus": "single"},
        {"multipleBirthInteger": "two"},
        {"contact": [{"name": []}]},
        {"name": [None, {"family": "A"}]},
    ],
)
def test_what_has_another_json_type_does_not_fit(elements: dict[str, Any]) -> None:
    assert not fits({"resourceType": "Patient", "id": "a", **elements})


@pytest.mark.parametrize("value", [1, 1.10, -5, 1e3])
def test_a_decimal_may_be_written_as_any_number(value: float) -> None:
    assert fits({"resourceType": "Observation", "id": "a", "valueQuantity": {"value": value}})


def test_a_decimal_as_text_does_not_fit() -> None:
    assert not fits({"resourceType": "Observation", "id": "a", "valueQuantity": {"value": "5"}})
