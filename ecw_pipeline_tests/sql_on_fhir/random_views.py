"""Random views, for the comparison of the compiler with the plain reading."""

from typing import Any

from hypothesis import strategies as st

from ecw_pipeline_tests.sql_on_fhir.random_paths import CONSTANTS, FAMILIES, Writer
from ecw_pipeline_tests.sql_on_fhir.random_resources import ELEMENTS, Draw, Json

REPEATS = {
    "QuestionnaireResponse": (["item"], ["item", "answer.item"], ["item.answer.item", "item"]),
    "QuestionnaireResponseItem": (["item"], ["answer.item"]),
    "Patient": (["extension"],),
    "Observation": (["extension"],),
}
REPEATED = {
    "QuestionnaireResponse": "QuestionnaireResponseItem",
    "QuestionnaireResponseItem": "QuestionnaireResponseItem",
    "Patient": "Extension",
    "Observation": "Extension",
}


VIEW: Json = {"resourceType": "ViewDefinition", "constant": CONSTANTS}


@st.composite
def views(draw: Draw, kind: str, depth: int) -> Json:
    writer = Writer(draw)
    selects = [select(writer, kind, depth, f"s{n}") for n in range(draw(st.integers(1, 2)))]
    view: Json = VIEW | {"resource": kind, "select": selects}
    if draw(st.booleans()):
        view["where"] = [{"path": writer.boolean(kind, 3)}]
    return view


def select(writer: Writer, kind: str, depth: int, name: str) -> Json:
    found, kind = directive(writer, kind)
    found["column"] = [column(writer, kind, f"{name}c{n}") for n in range(1 + writer.number(1))]
    if depth > 0:
        found["select"] = [
            select(writer, kind, depth - 1, f"{name}s{n}") for n in range(writer.number(1))
        ]
        if writer.number(2) == 0:
            found["unionAll"] = union(writer, kind, f"{name}u")
    return found


def directive(writer: Writer, kind: str) -> tuple[Json, str]:
    name = writer.pick(("", "forEach", "forEachOrNull", "repeat"))
    if name == "repeat" and kind in REPEATS:
        return {name: writer.pick(REPEATS[kind])}, REPEATED[kind]
    if name in {"", "repeat"}:
        return {}, kind
    path, inner = writer.items(kind, 1, lambda k: k in ELEMENTS or writer.number() == 0)
    return {name: path}, inner


def union(writer: Writer, kind: str, name: str) -> list[Json]:
    """Branches with one column of the same name and type."""
    family = writer.pick(("text", "integer", "boolean"))
    branches = []
    for _ in range(1 + writer.number(2)):
        found, inner = directive(writer, kind)
        branches.append(found | {"column": [{"name": name, "path": writer.one(family, inner, 1)}]})
    return branches


def column(writer: Writer, kind: str, name: str) -> Json:
    family = writer.pick(tuple(FAMILIES))
    if writer.number(9) == 0:
        return {"name": name, "path": "%rowIndex"}
    if writer.number(2) == 0:
        return {"name": name, "path": writer.list_of(family, kind, 2), "collection": True}
    return {"name": name, "path": writer.one(family, kind, 3)}


def paths_of(view: Any) -> list[str]:
    """Every path of a view, for messages."""
    if isinstance(view, list):
        return [path for each in view for path in paths_of(each)]
    if not isinstance(view, dict):
        return []
    own = [v for k, v in view.items() if k in {"path", "forEach", "forEachOrNull"}]
    return own + [path for each in view.values() for path in paths_of(each)]
