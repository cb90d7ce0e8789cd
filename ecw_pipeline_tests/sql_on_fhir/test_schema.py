"""The table's columns are known from the view alone; keys are added for the pipeline."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecw_pipeline.fhir.structure import resource_types
from ecw_pipeline.sql_on_fhir.compiler import CompiledView, ViewError, compile_view

VIEW: dict[str, Any] = {
    "name": "observation",
    "description": "it's measured",
    "resource": "Observation",
    "select": [
        {
            "column": [
                {"name": "status", "path": "status", "description": "how final"},
                {"name": "issued", "path": "issued"},
                {"name": "value_text", "path": "value.ofType(Quantity).value"},
                {
                    "name": "value",
                    "path": "value.ofType(Quantity).value",
                    "tag": [{"name": "ansi/type", "value": "decimal(18, 4)"}],
                },
                {"name": "has_code", "path": "code.exists()"},
                {"name": "profiles", "path": "meta.profile", "collection": True},
            ]
        },
        {
            "forEachOrNull": "component",
            "column": [
                {"name": "ordinal", "path": "%rowIndex"},
                {"name": "part", "path": "value.ofType(Quantity).value"},
            ],
        },
    ],
}
LINE = {
    "ecw_line": 7,
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"lastUpdated": "2024-01-01T00:00:00.000+02:00"},
    "status": "final",
    "issued": "2024-01-15T10:00:00+02:00",
    "subject": {"reference": "Patient/p1"},
    "encounter": {"reference": "https://h/Encounter/e1"},
    "code": {"text": "x"},
    "valueQuantity": {"value": "1.10"},
}


def types(view: CompiledView) -> dict[str, str]:
    return {column.name: column.sql_type for column in view.columns}


def test_types_follow_from_the_view_alone() -> None:
    assert types(compile_view(VIEW)) == {
        "status": "VARCHAR",
        "issued": "TIMESTAMP WITH TIME ZONE",
        "value_text": "VARCHAR",
        "value": "DECIMAL(18,4)",
        "has_code": "BOOLEAN",
        "profiles": "VARCHAR[]",
        "ordinal": "INTEGER",
        "part": "VARCHAR",
    }


def test_only_what_can_be_empty_is_nullable() -> None:
    never = [column.name for column in compile_view(VIEW).columns if not column.is_nullable]
    assert never == ["has_code", "profiles"]


def test_a_union_is_nullable_when_any_branch_is() -> None:
    always = {"column": [{"name": "v", "path": "name.exists()"}]}
    perhaps = {"column": [{"name": "v", "path": "active"}]}
    view = {"resource": "Patient", "select": [{"unionAll": [always, perhaps]}]}
    assert compile_view(view).columns[0].is_nullable


def test_keys_stand_around_the_columns_of_the_view() -> None:
    names = list(types(compile_view(VIEW, with_keys=True)))
    assert names[:3] == ["observation_id", "patient_id", "encounter_id"]
    assert names[-2:] == ["meta_last_updated", "source_line"]


@pytest.mark.parametrize("with_keys", [True, False])
def test_the_select_gives_exactly_the_table(tmp_path: Path, with_keys: bool) -> None:
    compiled = compile_view(VIEW, with_keys=with_keys)
    path = tmp_path / "o.ndjson"
    path.write_text(json.dumps(LINE) + "\n")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(compiled.create_table("observation"))
        for comment in compiled.comments("observation"):
            connection.execute(comment)
        described = connection.execute("DESCRIBE observation").fetchall()
        query = compiled.select(compiled.from_ndjson([path]))
        given = connection.execute(f"DESCRIBE {query}").fetchall()
        connection.execute(f"INSERT INTO observation {query}")
        row = connection.execute("SELECT * FROM observation").fetchone()
        about = connection.execute("SELECT comment FROM duckdb_tables()").fetchone()

    assert [r[:2] for r in given] == [r[:2] for r in described]
    assert about == ("it's measured",)
    assert row is not None
    if with_keys:
        assert row[:3] == ("o1", "p1", "e1")
        assert row[-2:] == ("2024-01-01T00:00:00.000+02:00", 7)


def test_only_touched_elements_are_read() -> None:
    view = {
        "resource": "Patient",
        "select": [{"column": [{"name": "f", "path": "name.first().family"}]}],
    }
    assert dict(compile_view(view).read_columns) == {"name": 'STRUCT("family" VARCHAR)[]'}


@pytest.mark.parametrize(
    ("resource", "keys"),
    [
        ("Patient", ["patient_id"]),
        ("Encounter", ["encounter_id", "patient_id"]),
        ("Immunization", ["immunization_id", "patient_id", "encounter_id"]),
        ("Coverage", ["coverage_id", "patient_id"]),
        ("Task", ["task_id", "patient_id", "encounter_id"]),
        (
            "DocumentReference",
            ["document_reference_id", "patient_id", "encounter_id"],
        ),
        (
            "MedicationAdministration",
            ["medication_administration_id", "patient_id", "encounter_id"],
        ),
        ("Organization", ["organization_id"]),
    ],
)
def test_keys_are_those_the_type_has(resource: str, keys: list[str]) -> None:
    view = {"resource": resource, "select": [{"column": [{"name": "x", "path": "id"}]}]}
    names = [column.name for column in compile_view(view, with_keys=True).columns]
    assert names[: names.index("x")] == keys


@pytest.mark.parametrize("resource", resource_types())
def test_keys_of_every_type_run(resource: str) -> None:
    view = {"resource": resource, "select": [{"column": [{"name": "x", "path": "id"}]}]}
    compiled = compile_view(view, with_keys=True)
    relation = ", ".join(
        f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in compiled.read_columns.items()
    )
    with duckdb.connect() as connection:
        rows = connection.execute(compiled.select(f"(SELECT {relation})")).fetchall()
    assert rows == [(None,) * len(compiled.columns)]


def test_compiling_is_deterministic() -> None:
    assert compile_view(VIEW).select("t") == compile_view(VIEW).select("t")


def test_a_column_named_like_an_element_does_not_shadow_it() -> None:
    columns = [{"name": "id", "path": "status"}, {"name": "other", "path": "id"}]
    view = {
        "resource": "Observation",
        "select": [{"column": columns}],
        "where": [{"path": "id = 'o1'"}],
    }
    from ecw_pipeline.sql_on_fhir.compiler import run_view

    assert run_view(view, [LINE]).rows == [{"id": "final", "other": "o1"}]


def test_an_integer_whose_number_was_quoted_is_still_an_integer() -> None:
    from ecw_pipeline.sql_on_fhir.compiler import run_view

    view = {
        "resource": "Observation",
        "select": [{"column": [{"name": "v", "path": "value.ofType(integer)"}]}],
    }
    line = {"resourceType": "Observation", "id": "o", "valueInteger": "42"}
    assert run_view(view, [line]).rows == [{"v": 42}]


def test_choosing_among_the_same_elements_reads_them_as_columns() -> None:
    codings = "code.coding"
    path = f"iif({codings}.exists(), {codings}.where(system = 'a'), {codings}).first().code"
    view = {"resource": "Observation", "select": [{"column": [{"name": "c", "path": path}]}]}

    assert "JSON" not in compile_view(view).read_columns["code"]


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("CHARACTER(10)", "VARCHAR"),
        ("character varying (20)", "VARCHAR"),
        ("NATIONAL CHARACTER VARYING(5)", "VARCHAR"),
        ("CHARACTER LARGE OBJECT", "VARCHAR"),
        ("DECIMAL", "DECIMAL(38,12)"),
        ("DEC(5,2)", "DECIMAL(5,2)"),
        ("FLOAT(53)", "DOUBLE"),
        ("TIMESTAMP(3) WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
        ("TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMP"),
        ("TIME(6)", "TIME"),
    ],
)
def test_ansi_names_of_types_are_known(asked: str, written: str) -> None:
    column = {"name": "c", "path": "id", "tag": [{"name": "ansi/type", "value": asked}]}
    view = {"resource": "Patient", "select": [{"column": [column]}]}

    assert compile_view(view).columns[0].sql_type == written


def typed_column(resource: str, path: str, declared: str) -> dict[str, Any]:
    column = {"name": "c", "path": path, "type": declared}
    return {"name": "v", "resource": resource, "select": [{"column": [column]}]}


@pytest.mark.parametrize(
    ("resource", "path", "declared", "written"),
    [
        ("Observation", "status", "System.String", "VARCHAR"),
        ("Observation", "status", "http://hl7.org/fhirpath/System.String", "VARCHAR"),
        ("Observation", "value.ofType(boolean)", "System.Boolean", "BOOLEAN"),
        ("Observation", "code", "CodeableConcept", "JSON"),
        ("Observation", "code", "http://hl7.org/fhir/StructureDefinition/CodeableConcept", "JSON"),
        ("Observation", "code", "Element", "JSON"),
        ("Observation", "component.first()", "Observation.component", "JSON"),
        ("Observation", "component.first()", "BackboneElement", "JSON"),
        ("Observation", "component.referenceRange.first()", "Observation.referenceRange", "JSON"),
        ("Patient", "contact.first()", "Patient.contact", "JSON"),
        ("Condition", "onset.ofType(Age)", "Quantity", "JSON"),
    ],
)
def test_a_type_is_declared_as_the_specification_writes_it(
    resource: str, path: str, declared: str, written: str
) -> None:
    assert compile_view(typed_column(resource, path, declared)).columns[0].sql_type == written


@pytest.mark.parametrize(
    ("path", "declared", "message"),
    [
        ("status", "System.Text", "System.Text is not a FHIR type"),
        ("status", "Observation.code", "declared CodeableConcept, but its path gives code"),
        ("status", "BackboneElement", "declared BackboneElement, but its path gives code"),
        ("code", "Observation.codes", "Observation.codes is not a FHIR type"),
        ("code", "Quantity", "declared Quantity, but its path gives CodeableConcept"),
    ],
)
def test_another_type_than_the_declared_one_is_an_error(
    path: str, declared: str, message: str
) -> None:
    with pytest.raises(ViewError, match=message):
        compile_view(typed_column("Observation", path, declared))
