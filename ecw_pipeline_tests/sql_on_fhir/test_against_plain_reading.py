"""Random views over random resources: the compiler and the plain reading give the same rows."""

from collections import Counter
from typing import Any

from hypothesis import given, note
from hypothesis import strategies as st

from ecw_pipeline.sql_on_fhir.compiler import compile_view
from ecw_pipeline_tests.examples import examples
from ecw_pipeline_tests.sql_on_fhir.plain_comparison import (
    assert_agreement,
    assert_same_outcome,
    compiled_outcome,
)
from ecw_pipeline_tests.sql_on_fhir.random_paths import Writer
from ecw_pipeline_tests.sql_on_fhir.random_resources import Draw, Json, resources
from ecw_pipeline_tests.sql_on_fhir.random_views import VIEW, paths_of, select, views

KINDS = ("Patient", "Observation", "QuestionnaireResponse")


@st.composite
def views_and_resources(draw: Draw, depth: int = 2) -> tuple[Json, list[Json]]:
    kind = draw(st.sampled_from(KINDS))
    return draw(views(kind, depth)), draw(resources(kind))


@examples(120)
@given(views_and_resources())
def test_the_compiler_agrees_with_the_plain_reading(drawn: tuple[Json, list[Json]]) -> None:
    view, found = drawn
    for path in paths_of(view):
        note(path)
    assert_agreement(view, found)


# Laws, for which no second reading is needed.


@examples(25)
@given(views_and_resources(depth=1))
def test_a_union_of_one_is_its_branch(drawn: tuple[Json, list[Json]]) -> None:
    view, found = drawn
    united = view | {"select": [{"unionAll": [each]} for each in view["select"]]}
    assert_same_outcome(united, found, view)


@examples(25)
@given(views_and_resources(depth=1))
def test_where_true_is_no_where_and_order_does_not_matter(drawn: tuple[Json, list[Json]]) -> None:
    view, found = drawn
    more = view | {"where": [*view.get("where", []), {"path": "true"}]}
    assert_same_outcome(more, found[::-1], view)


@examples(25)
@given(st.data())
def test_a_condition_is_true_false_or_empty(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    path, found = Writer(data.draw).boolean(kind, 3), data.draw(resources(kind))
    view = VIEW | {"resource": kind, "select": [{"column": [{"name": "id", "path": "id"}]}]}
    parts = [f"({path})", f"({path}).not()", f"({path}).empty()"]
    outcomes = [compiled_outcome(view | {"where": [{"path": p}]}, found) for p in parts]
    if all(isinstance(outcome, Counter) for outcome in outcomes):
        assert sum(outcomes, Counter[Any]()) == compiled_outcome(view, found)


@examples(25)
@given(st.data())
def test_for_each_or_null_holds_what_for_each_holds(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    path, _ = Writer(data.draw).items(kind, 2, lambda _: True)
    found = data.draw(resources(kind))
    column = {"name": "n", "path": "%rowIndex"}
    view = VIEW | {"resource": kind}
    some, all_rows = (
        compiled_outcome(view | {"select": [{directive: path, "column": [column]}]}, found)
        for directive in ("forEach", "forEachOrNull")
    )
    assert some == all_rows or some <= all_rows


@examples(25)
@given(st.data())
def test_compiling_is_deterministic(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    view = VIEW | {"resource": kind, "select": [select(Writer(data.draw), kind, 2, "s")]}
    first, second = compile_view(view), compile_view(view)
    assert first.select("t") == second.select("t")
    assert (first.columns, first.read_columns) == (second.columns, second.read_columns)
