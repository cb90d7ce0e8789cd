"""Random views over random patients: the compiler and the plain reading give the same rows."""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecw_pipeline.sql_on_fhir.compiler import run_view
from ecw_pipeline_tests.sql_on_fhir.plain_reading import Column, Path, Row, Select, Step, Test

WORDS = ("a", "b", "O'Neil", "")
# Type → element → its type. Lists and single elements are both among them.
ELEMENTS: dict[str, dict[str, str]] = {
    "Patient": {
        "id": "text",
        "gender": "text",
        "name": "HumanName",
        "telecom": "ContactPoint",
        "contact": "Contact",
        "maritalStatus": "Concept",
    },
    "Contact": {"name": "HumanName", "telecom": "ContactPoint", "relationship": "Concept"},
    "HumanName": {"family": "text", "given": "text", "use": "text"},
    "ContactPoint": {"system": "text", "value": "text", "rank": "number"},
    "Concept": {"text": "text", "coding": "Coding"},
    "Coding": {"code": "text", "system": "text"},
}
LISTS = {"Patient.name", "Patient.telecom", "Patient.contact", "Contact.telecom",
         "Contact.relationship", "HumanName.given", "Concept.coding"}  # fmt: skip
FILLING: dict[str, Row] = {
    "Patient": {"gender": "a"},
    "Contact": {"relationship": [{"text": "a"}]},
    "HumanName": {"family": "a"},
    "ContactPoint": {"rank": 1},
    "Concept": {"text": "b"},
    "Coding": {"code": "b"},
}
PRIMITIVES = {"text": st.sampled_from(WORDS[:3]), "number": st.integers(1, 4)}
Draw = Any


@st.composite
def values(draw: Draw, kind: str) -> Any:
    if kind in PRIMITIVES:
        return draw(PRIMITIVES[kind])
    found: Row = {}
    for name, inner in ELEMENTS[kind].items():
        if not draw(st.booleans()):
            continue
        if f"{kind}.{name}" in LISTS:
            found[name] = draw(st.lists(values(inner), min_size=1, max_size=3))
        else:
            found[name] = draw(values(inner))
    return found or FILLING[kind]  # FHIR knows no empty objects


@st.composite
def patients(draw: Draw) -> list[Row]:
    found = draw(st.lists(values("Patient"), max_size=3))
    return [{"resourceType": "Patient", **each, "id": str(n)} for n, each in enumerate(found)]


@st.composite
def paths(draw: Draw, start: str, ends_in: str, depth: int = 2) -> Path:
    """A path from a type to ``primitive`` or ``complex``."""
    steps: list[Step] = []
    kind = start
    for _ in range(8):
        is_there = (kind in PRIMITIVES) == (ends_in == "primitive")
        if is_there and steps and draw(st.booleans()):
            break
        if kind in PRIMITIVES:
            break
        inner = {
            n: k for n, k in ELEMENTS[kind].items() if ends_in == "primitive" or k not in PRIMITIVES
        }
        if not inner:
            break
        name = draw(st.sampled_from(sorted(inner)))
        steps.append(Step(name))
        kind = inner[name]
        steps += draw(st.lists(functions(kind, depth), max_size=1))
    return Path(tuple(steps))


@st.composite
def functions(draw: Draw, kind: str, depth: int) -> Step:
    names = ["first", "last", "tail", "skip", "take", "[]"]
    if kind not in PRIMITIVES and depth > 0:
        names += ["where", "where", "where"]
    name = draw(st.sampled_from(names))
    test = draw(conditions(kind, depth - 1)) if name == "where" else None
    return Step(name, draw(st.integers(0, 2)), test)


@st.composite
def conditions(draw: Draw, kind: str, depth: int) -> Test:
    operator = draw(
        st.sampled_from(["exists", "empty", "count", "=", "!=", "<", ">=", "not", "and", "or"])
    )
    if operator in {"not", "and", "or"} and depth > 0:
        sides = tuple(draw(conditions(kind, depth - 1)) for _ in range(2))
        return Test(operator, sides=sides)
    path = draw(paths(kind, "primitive", depth))
    if operator in {"exists", "empty"} or not path.steps:
        return Test("exists" if not path.steps else operator, path)
    if operator == "count":
        return Test("count", path, draw(st.integers(0, 3)))
    if operator in {"not", "and", "or"}:
        operator = "="
    is_number = any(step.name == "rank" for step in path.steps)
    literal = draw(st.integers(1, 4) if is_number else st.sampled_from(("a", "b")))
    return Test(operator, path, literal)


def kind_after(start: str, path: Path) -> str:
    kind = start
    for step in path.steps:
        kind = ELEMENTS.get(kind, {}).get(step.name, kind)
    return kind


@st.composite
def selects(draw: Draw, kind: str, depth: int, prefix: str) -> Select:
    directive = draw(st.sampled_from(["", "forEach", "forEachOrNull"]))
    path = draw(paths(kind, "complex")) if directive else None
    inner = kind_after(kind, path) if path else kind
    columns = tuple(
        draw(columns_of(inner, f"{prefix}c{n}")) for n in range(draw(st.integers(1, 2)))
    )
    below: tuple[Select, ...] = ()
    union: tuple[Select, ...] = ()
    if depth > 0:
        count = draw(st.integers(0, 2))
        below = tuple(draw(selects(inner, depth - 1, f"{prefix}s{n}")) for n in range(count))
        count = draw(st.integers(0, 2))
        union = tuple(draw(branches(inner, prefix)) for _ in range(count))
    return Select(directive, path, columns, below, union)


@st.composite
def branches(draw: Draw, kind: str, prefix: str) -> Select:
    """A branch of a union: always one text column of one name."""
    directive = draw(st.sampled_from(["", "forEach", "forEachOrNull"]))
    path = draw(paths(kind, "complex")) if directive else None
    inner = kind_after(kind, path) if path else kind
    found = draw(paths(inner, "primitive").filter(lambda p: ends_in_text(inner, p)))
    return Select(
        directive, path, (Column(f"{prefix}u", Path((*found.steps, Step("first"))), False),)
    )


def ends_in_text(kind: str, path: Path) -> bool:
    return kind_after(kind, path) == "text"


@st.composite
def columns_of(draw: Draw, kind: str, name: str) -> Column:
    if draw(st.integers(0, 5)) == 0:
        return Column(name, None, False)
    path = draw(paths(kind, "primitive").filter(lambda p: kind_after(kind, p) in PRIMITIVES))
    if draw(st.booleans()):
        return Column(name, path, True)
    return Column(name, Path((*path.steps, Step("first"))), False)


def countable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((name, countable(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        return ("list", *map(countable, value))
    return (type(value).__name__, str(value))


def multiset(rows: list[Row]) -> Counter[Any]:
    return Counter(map(countable, rows))


QUIET = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)


@QUIET
@given(selects("Patient", 2, ""), conditions("Patient", 2), patients())
def test_the_compiler_agrees_with_a_plain_reading(
    select: Select, condition: Test, resources: list[Row]
) -> None:
    view = {
        "resource": "Patient",
        "select": [select.json()],
        "where": [{"path": str(condition)}],
    }
    expected = [row for each in resources if condition.of(each) for row in select.rows(each)]
    assert multiset(run_view(view, resources).rows) == multiset(expected)


@settings(QUIET, max_examples=40)
@given(selects("Patient", 1, ""), patients())
def test_a_union_of_one_is_its_branch(select: Select, resources: list[Row]) -> None:
    alone = run_view({"resource": "Patient", "select": [select.json()]}, resources)
    union = run_view({"resource": "Patient", "select": [{"unionAll": [select.json()]}]}, resources)
    assert union == alone


@settings(QUIET, max_examples=40)
@given(selects("Patient", 1, ""), patients())
def test_where_true_is_no_where_and_order_does_not_matter(
    select: Select, resources: list[Row]
) -> None:
    view = {"resource": "Patient", "select": [select.json()]}
    plain = run_view(view, resources).rows
    assert run_view(view | {"where": [{"path": "true"}]}, resources).rows == plain
    assert multiset(run_view(view, resources[::-1]).rows) == multiset(plain)


@settings(QUIET, max_examples=40)
@given(paths("Patient", "complex"), patients())
def test_for_each_or_null_holds_what_for_each_holds(path: Path, resources: list[Row]) -> None:
    column = {"name": "n", "path": "%rowIndex"}
    rows = {
        directive: multiset(
            run_view(
                {"resource": "Patient", "select": [{directive: str(path), "column": [column]}]},
                resources,
            ).rows
        )
        for directive in ("forEach", "forEachOrNull")
    }
    assert rows["forEach"] <= rows["forEachOrNull"]
