"""Every column can say which elements of the resource it is computed from."""

from typing import Any

from ecw_pipeline.sql_on_fhir.compiler import compile_view
from ecw_pipeline.sql_on_fhir.lineage import elements_of


def _elements(select: dict[str, Any], **view: Any) -> dict[str, tuple[str, ...]]:
    compiled = compile_view({"name": "v", "resource": "Observation", "select": [select], **view})
    return elements_of(compiled.plan)


def _column(path: str, name: str = "c") -> dict[str, str]:
    return {"name": name, "path": path}


def test_a_column_is_from_its_element_and_those_of_its_conditions() -> None:
    path = "code.coding.where(system = 'http://loinc.org').code.first()"

    assert _elements({"column": [_column(path)]}) == {
        "c": ("code.coding.code", "code.coding.system")
    }


def test_a_choice_is_named_as_the_json_names_it() -> None:
    assert _elements({"column": [_column("value.ofType(Quantity).value")]}) == {
        "c": ("valueQuantity.value",)
    }


def test_inside_an_iteration_the_path_is_from_the_resource_on() -> None:
    inner = {"forEach": "code.coding", "column": [_column("code"), _column("%rowIndex", "n")]}
    select = {"forEach": "component", "select": [inner]}

    assert _elements(select) == {"c": ("component.code.coding.code",), "n": ()}


def test_a_column_of_a_union_has_the_elements_of_all_branches() -> None:
    branches = [
        {"forEach": "code.coding", "column": [_column("code")]},
        {"forEach": "method.coding", "column": [_column("code")]},
    ]

    assert _elements({"unionAll": branches}) == {"c": ("code.coding.code", "method.coding.code")}
