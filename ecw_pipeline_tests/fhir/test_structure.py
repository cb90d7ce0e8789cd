"""The element table says what FHIR R4 says."""

from ecw_pipeline.fhir.structure import (
    Element,
    decimal_keys,
    is_resource,
    resource_types,
    type_structure,
)


def element(type_name: str, json_name: str) -> Element:
    structure = type_structure(type_name)
    assert structure is not None
    return structure.elements[json_name]


def test_plain_elements_know_their_type_and_number() -> None:
    assert element("Patient", "birthDate") == Element("birthDate", "date", False)
    assert element("Patient", "name").is_list


def test_a_choice_has_one_element_per_form() -> None:
    assert element("Observation", "valueQuantity").choice == "value"
    structure = type_structure("Patient")
    assert structure is not None
    forms = [form.json_name for form in structure.choices["deceased"]]
    assert forms == ["deceasedBoolean", "deceasedDateTime"]


def test_a_reference_knows_what_it_may_point_to() -> None:
    assert "Patient" in element("Condition", "subject").targets


def test_a_type_may_hold_itself() -> None:
    inner = element("Questionnaire", "item").element_type
    assert element(inner, "item").element_type == inner


def test_names_that_python_reserves_are_fhirs_here() -> None:
    assert element("Task", "for").element_type == "Reference"
    assert element("Encounter", "class").element_type == "Coding"


def test_resources_are_told_from_data_types() -> None:
    assert is_resource("Observation")
    assert not is_resource("Quantity")
    assert len(resource_types()) > 130


def test_every_named_type_is_defined() -> None:
    for resource_type in resource_types():
        structure = type_structure(resource_type)
        assert structure is not None
        for each in structure.elements.values():
            assert each.is_primitive or type_structure(each.element_type) is not None


def test_decimal_keys_are_those_with_a_decimal_somewhere() -> None:
    assert {"value", "valueDecimal", "factor", "latitude"} <= decimal_keys()
    assert not {"valueInteger", "rank", "status"} & decimal_keys()
