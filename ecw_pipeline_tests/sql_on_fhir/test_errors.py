"""A wrong view is refused with all of its problems, each pointing at its place."""

from decimal import Decimal
from typing import Any

import pytest

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.sql_on_fhir.compiler import ViewError, compile_view, run_view


def refused(view: Any, **options: bool) -> ViewError:
    with pytest.raises(ViewError) as caught:
        compile_view(view, **options)
    return caught.value


def view_of(*paths: str, resource: str = "Observation") -> dict[str, Any]:
    columns = [{"name": f"c{n}", "path": path} for n, path in enumerate(paths)]
    return {"name": "tried", "resource": resource, "select": [{"column": columns}]}


def test_all_problems_are_told_at_once_with_their_places() -> None:
    error = refused(view_of("code.coding.frist()", "status = 1", "%unknown"))

    assert [problem.where for problem in error.problems] == [
        "select[0].column[0].path",
        "select[0].column[1].path",
        "select[0].column[2].path",
    ]
    assert str(error).startswith("view tried cannot be compiled:")


@pytest.mark.parametrize("resource", ["Observatoin", "", None, 5])
def test_an_unknown_resource_hides_no_other_problem(resource: Any) -> None:
    paths = ("frist()", "code.(", "%x", "%resource.code.text", "getResourceKey()")
    error = refused(view_of(*paths) | {"resource": resource, "where": [{"path": "status =="}]})

    assert [problem.where for problem in error.problems] == [
        "resource",
        "select[0].column[0].path",
        "select[0].column[1].path",
        "select[0].column[2].path",
        "where[0].path",
    ]


def test_what_is_wrong_with_a_path_of_repeat_is_told_once() -> None:
    select = [{"repeat": ["item("], "column": [{"name": "a", "path": "linkId"}]}]
    error = refused({"resource": "Questionnaire", "select": select})
    assert [problem.where for problem in error.problems] == ["select[0].repeat"]


def test_a_caret_stands_under_the_character() -> None:
    lines = str(refused(view_of("code.coding.frist()"))).splitlines()

    assert lines[-2].index("frist") == lines[-1].index("^")
    assert "did you mean `first`?" in lines[1]


@pytest.mark.parametrize("before", ["'患者' & ", "'e\u0301' & ", "'😀' & "])
def test_a_caret_stands_under_the_character_on_a_terminal(before: str) -> None:
    path = before + "frist()"
    shown, caret = str(refused(view_of(path))).splitlines()[-2:]

    columns = {"'患者' & ": 4, "'e\u0301' & ": 1, "'😀' & ": 2}[before] + len("'' & ")
    assert (shown, caret) == (f"    {path}", " " * (4 + columns) + "^")


def test_a_caret_stands_under_the_escape_that_is_none() -> None:
    path = "status = %`a\\q`"
    (problem,) = refused(view_of(path)).problems
    assert problem.at == path.index("\\")


def test_a_long_path_shows_only_the_part_that_matters() -> None:
    error = refused(view_of("'" + "x" * 1_000_000 + "' + @@"))
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("code.coding.where(code='", "not closed"),
        ('"text"', "single quotes"),
        ("code.", "expected a name after ."),
        ("value", "choose one with value.ofType"),
        ("value.ofType(Quantitty)", "did you mean `Quantity`?"),
        ("subject.resolve()", "join the tables on getReferenceKey()"),
        ("today()", "the same whenever it is made"),
        ("component.repeat(extension).repeat(extension)", "nest selects"),
        ("code.repeat(text)", "follows elements that have elements, not string"),
        ("repeat(code | component)", "cannot be in one collection"),
        ("status + 1", "needs numbers"),
        ("status.where('x')", "expected true or false"),
        ("code.upper()", "works on text"),
        ("status.substring()", "takes 1 to 2 arguments"),
        ("code.coding['a']", "an index must be an integer"),
        ("$this", "a resource is not a value"),
        ("$total", "not supported"),
        ("5 'mg'", "quantities with units"),
        ("@T10:30", "write the time to the second"),
        ("'a\\q'", "unknown escape"),
        ("(status", "expected )"),
        ("status status", "unexpected 'status'"),
        ("5 days", "quantities with units"),
        ("@2024-02-30", "there is no such date"),
        ("@T25:00:00", "there is no such date or time"),
        ("'a'.matches('(?=a)')", "matches(): invalid perl operator: (?="),
        ("'a'.replaceMatches('(', '')", "missing )"),
        ("1.25.round(id.length())", "write the number of digits as a number"),
        ("contained.name", "Choose one with ofType"),
        ("component.count().min()", "aggregate in SQL over the table"),
        ("id.encode('hex')", "do it in SQL over the table"),
        ("iif(true, 1, 'a')", "integer and string cannot be in one collection or column"),
        ("1 | 'a'", "integer and string cannot be in one collection or column"),
        ("id in component", "in cannot compare id with ObservationComponent"),
        ("value.is(Quantitty)", "did you mean `Quantity`?"),
        ("%resource", "a resource is not a value"),
        ("%`a\\qb`", "unknown escape"),
    ],
)
def test_a_bad_path_is_explained(path: str, says: str) -> None:
    assert says in str(refused(view_of(path)))


def test_what_a_terminal_would_obey_is_not_repeated() -> None:
    column = {"name": "c", "path": "id \x1b[2J \ud800\n", "type": "\x1b[2J"}
    told = str(refused({"resource": "Patient", "select": [{"column": [column]}]}))

    assert told.replace("\n", "").isprintable()


def test_what_was_warned_of_is_told_beside_the_errors() -> None:
    error = refused(view_of("code.frist()", "statuss"))

    assert [warning.splitlines()[1].strip() for warning in error.warnings] == ["statuss"]


def test_an_unknown_element_is_a_warning_with_a_suggestion() -> None:
    compiled = compile_view(view_of("effectiveDate", "statuss"))

    assert "did you mean `effectiveDateTime`?" in compiled.warnings[0]
    assert "did you mean `status`?" in compiled.warnings[1]


@pytest.mark.parametrize("path", ["value.ofType(Attachment).url", "(value as Attachment).url"])
def test_a_type_that_a_choice_never_has_is_empty_with_a_warning(path: str) -> None:
    (warning,) = compile_view(view_of(path)).warnings

    assert "`value` is never a Attachment, so this is always empty; it may be boolean" in warning
    resource = {"resourceType": "Observation", "id": "o", "valueString": "x"}
    assert run_view(view_of(path), [resource]).rows == [{"c0": None}]


def test_a_warning_points_at_its_character() -> None:
    (warning,) = compile_view(view_of("code.coding.first().dispay")).warnings
    lines = warning.splitlines()

    assert lines[-2].index("dispay") == lines[-1].index("^")


@pytest.mark.parametrize("at", [0, 100, 199])
def test_what_is_shown_of_a_long_path_fits_eighty_columns(at: int) -> None:
    path = " " * at + "?" + " " * (199 - at)
    shown, caret = str(refused(view_of(path))).splitlines()[-2:]

    assert shown.index("?") == caret.index("^")
    assert len(shown) <= 78


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"constants": []}, "constants: no such element, so it is ignored (did you mean"),
        (
            {"select": [{"foreach": "code", "column": [{"name": "a", "path": "id"}]}]},
            "select[0].foreach: no such element, so it is ignored (did you mean `forEach`?)",
        ),
        ({"x" * 1_000_000: 1}, "x" * 80 + ": no such element, so it is ignored"),
        ({"where": [{"path": "true", "if": 1}]}, "where[0].if: no such element, so it is ignored"),
        (
            {"select": [{"column": [{"name": "a", "path": "id", "collections": True}]}]},
            "select[0].column[0].collections: no such element, so it is ignored (did you mean",
        ),
    ],
)
def test_what_no_view_has_is_warned_of(change: dict[str, Any], says: str) -> None:
    (warning,) = compile_view(view_of("id") | change).warnings
    assert warning.startswith(says)


def test_what_every_resource_may_have_is_not_warned_of() -> None:
    metadata = {"resourceType": "ViewDefinition", "url": "x", "_name": {}, "extension": []}
    assert compile_view(view_of("id") | metadata).warnings == ()


@pytest.mark.parametrize("path", ["1.5.toInteger()", "(1.5).convertsToInteger()"])
def test_what_never_converts_is_warned_of(path: str) -> None:
    (warning,) = compile_view(view_of(path)).warnings
    assert "toInteger() of a decimal is always empty" in warning


def test_the_json_name_of_a_choice_is_accepted_with_a_warning() -> None:
    compiled = compile_view(view_of("effectiveDateTime"))
    assert "effective.ofType(dateTime)" in compiled.warnings[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"select": [{"name": "a", "path": "id"}]}, "select[0]: columns stand inside"),
        ({"select": [{"forEach": "", "column": []}]}, "expected a FHIRPath"),
        ({"resource": "Patiant"}, "did you mean `Patient`?"),
        ({"resource": 1}, "expected text"),
        ({"resourceType": "Patient"}, "expected ViewDefinition"),
        ({"fhirVersion": ["5.0.0"]}, "for FHIR 5.0.0; this compiler reads R4: expected 4.0.1"),
        ({"fhirVersion": ["4.3.0", "5.0.0"]}, "for FHIR 4.3.0, 5.0.0;"),
        ({"name": "two words"}, "is not a name"),
        ({"name": "ends_in_a_line_break\n"}, "is not a name"),
        ({"select": "x"}, "expected a list"),
        ({"select": [{"forEach": "code", "repeat": ["code"]}]}, "cannot stand in one select"),
        ({"where": [{"path": "status"}]}, "expected true or false"),
        ({"constant": [{"name": "x"}]}, "exactly one value[x]"),
        ({"constant": [{"name": "rowIndex", "valueInteger": 1}]}, "has a meaning already"),
        ({"constant": [{"name": "x", "valueQuantity": {}}]}, "not a primitive type of FHIR"),
        ({"constant": [{"name": "x", "valueInteger": 1.5}]}, "constant x is no integer: '1.5'"),
        ({"constant": [{"name": "x", "valueInteger": 2**31}]}, "is no integer"),
        ({"constant": [{"name": "x", "valueDate": "2024-1"}]}, "is no date"),
        ({"constant": [{"name": "x", "valueDate": "2024-02-30"}]}, "is no date"),
        ({"constant": [{"name": "x", "valueDate": "2024-13"}]}, "is no date"),
        ({"constant": [{"name": "x", "valueDateTime": "2024-02-30T10:00:00Z"}]}, "is no dateTime"),
        ({"constant": [{"name": "x", "valueInstant": "2024-01-01T10:61:00Z"}]}, "is no instant"),
        ({"constant": [{"name": "x", "valueTime": "25:00:00"}]}, "is no time"),
        ({"constant": [{"name": "x", "valuePositiveInt": 0}]}, "is no positiveInt"),
        ({"constant": [{"name": "x", "valueUnsignedInt": -1}]}, "is no unsignedInt"),
        ({"constant": [{"name": "x", "valueCode": 5}]}, "is no code"),
        ({"constant": [{"name": "x", "valueBoolean": "yes"}]}, "is no boolean"),
        ({"constant": [{"name": "x", "valueDecimal": True}]}, "is no decimal"),
        ({"constant": [{"name": "x", "valueCode": "a"}, {"name": "x", "valueCode": "b"}]}, "twice"),
    ],
)
def test_a_bad_view_is_explained(change: dict[str, Any], says: str) -> None:
    assert says in str(refused(view_of("id") | change))


@pytest.mark.parametrize(
    ("constant", "path", "value"),
    [
        ({"valueInteger": "24"}, "%x + 1", 25),
        ({"valueBoolean": "true"}, "%x.not()", False),
        ({"valueDecimal": 1.5}, "%x * 2", Decimal(3)),
        ({"valueInteger64": "9007199254740993"}, "%x + 1", 9007199254740994),
        ({"valueInstant": "2024-01-01T00:00:00Z"}, "%x > @2023", True),
    ],
)
def test_a_constant_is_of_its_type(constant: dict[str, Any], path: str, value: Any) -> None:
    view = view_of(path) | {"constant": [{"name": "x", **constant}]}
    rows = run_view(view, [{"resourceType": "Observation", "id": "o"}]).rows
    assert rows == [{"c0": value}]


def test_a_constant_may_be_named_like_a_known_system() -> None:
    view = view_of("%loinc", "%sct") | {"constant": [{"name": "loinc", "valueUri": "mine"}]}
    rows = run_view(view, [{"resourceType": "Observation", "id": "o"}]).rows
    assert rows == [{"c0": "mine", "c1": "http://snomed.info/sct"}]


def test_a_complex_element_declared_a_string_is_json_with_a_warning() -> None:
    column = {"name": "c", "path": "code", "type": "string"}
    view = {"resource": "Observation", "select": [{"column": [column]}]}
    resource = {"resourceType": "Observation", "id": "o", "code": {"text": "x"}}

    assert "holds JSON as text" in compile_view(view).warnings[0]
    assert run_view(view, [resource]).rows == [{"c": '{"text":"x"}'}]


def test_a_branch_without_a_column_may_say_so_with_nothing() -> None:
    branches = [
        {"column": [{"name": "a", "path": "{}"}]},
        {"unionAll": [{"column": [{"name": "a", "path": "active"}]}]},
    ]
    view = {"resource": "Patient", "select": [{"unionAll": branches}]}
    patient = {"resourceType": "Patient", "id": "p", "active": True}

    assert compile_view(view).columns[0].sql_type == "BOOLEAN"
    assert [row["a"] for row in run_view(view, [patient]).rows] == [None, True]


def test_a_column_without_a_path_is_one_problem() -> None:
    error = refused({"resource": "Patient", "select": [{"column": [{"name": "a"}]}]})
    assert [str(problem) for problem in error.problems] == ["select[0].column[0].path: is missing"]


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"where": [{}]}, ["where[0].path"]),
        ({"select": [{"column": [{}]}]}, ["select[0].column[0].name", "select[0].column[0].path"]),
        ({"constant": [{}]}, ["constant[0].name"]),
        ({"where": ["active"]}, []),  # which says that it is no object
        ({"select": [{"column": [None, {"name": "a", "path": "id"}]}]}, []),
    ],
)
def test_what_an_empty_object_lacks_is_told(change: dict[str, Any], missing: list[str]) -> None:
    problems = refused(view_of("id") | change).problems
    assert [p.where for p in problems if p.message == "is missing"] == missing


def test_a_type_in_the_wrong_case_is_recognized() -> None:
    column = {"name": "a", "path": "subject", "type": "reference"}
    error = refused({"resource": "Observation", "select": [{"column": [column]}]})
    assert "reference is not a FHIR type (did you mean `Reference`?)" in str(error)


def test_something_that_is_no_view_at_all_is_refused() -> None:
    assert "expected a JSON object" in str(refused([]))


def test_columns_may_not_differ_by_case_only() -> None:
    columns = [{"name": "code", "path": "id"}, {"name": "Code", "path": "id"}]
    error = refused({"resource": "Patient", "select": [{"column": columns}]})
    assert "already named at select[0].column[0]" in str(error)


def test_a_declared_type_must_fit_its_path() -> None:
    column = {"name": "x", "path": "status", "type": "integer"}
    error = refused({"resource": "Observation", "select": [{"column": [column]}]})
    assert "declared integer, but its path gives code" in str(error)


@pytest.mark.parametrize("tag", ["INT; DROP TABLE x", "DECIMAL(50,2)", "STRUCT(a INT)", "'"])
def test_an_sql_type_we_do_not_write_is_refused(tag: str) -> None:
    column = {"name": "x", "path": "id", "tag": [{"name": "ansi/type", "value": tag}]}
    error = refused({"resource": "Observation", "select": [{"column": [column]}]})
    assert "is not a type we write" in str(error)


@pytest.mark.parametrize("name", ["patient_id", "observation_id", "source_line", "Export_Id"])
def test_names_of_the_pipeline_are_reserved_only_in_the_pipeline(name: str) -> None:
    column = {"name": name, "path": "id"}
    view = {"resource": "Observation", "select": [{"column": [column]}]}

    assert compile_view(view).columns[0].name == name
    assert "leave it out or rename it" in str(refused(view, with_keys=True))


def test_a_condition_inside_of_a_select_is_refused_and_not_passed_over() -> None:
    view = view_of("status")
    view["select"][0]["where"] = [{"path": "status = 'final'"}]

    assert "select[0].where" in str(refused(view))


@pytest.mark.parametrize(
    ("declared", "value", "held"),
    [("boolean", {"valueBoolean": True}, True), ("string", {"valueString": "x"}, "x"),
     ("boolean", {}, None)],
)  # fmt: skip
def test_a_declared_type_chooses_among_the_types_of_an_element(
    declared: str, value: dict[str, Any], held: Any
) -> None:
    view = view_of("value")
    view["select"][0]["column"][0]["type"] = declared

    assert run_view(view, [observation(value)]).rows == [{"c0": held}]


def test_a_value_of_another_type_than_the_declared_one_is_an_error() -> None:
    view = view_of("value")
    view["select"][0]["column"][0]["type"] = "boolean"

    with pytest.raises(UnsupportedViewError, match=r"c0: a value of another type.*ofType"):
        run_view(view, [observation({"valueString": "x"})])


def observation(value: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o", **value}
