"""Views that mean harm get an answer or a clear error, soon and in bounded memory."""

import time
from contextlib import suppress
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.sql_on_fhir.compiler import compile_view, run_view

PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "F"}]}
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def run_column(path: str, **column: Any) -> Any:
    view = {"resource": "Patient", "select": [{"column": [{"name": "v", "path": path, **column}]}]}
    return run_view(view, [PATIENT]).rows[0]["v"]


@given(TEXT)
def test_any_text_survives_literal(text: str) -> None:
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {literal(text)}").fetchone() == (text,)


@given(TEXT.filter(bool))
def test_any_text_survives_identifier(text: str) -> None:
    with duckdb.connect() as connection:
        cursor = connection.execute(f"SELECT 1 AS {identifier(text)}")
        description: Any = cursor.description
        assert description[0][0] == text


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_what_sql_cannot_carry_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedViewError):
        literal(text)


def test_a_nul_in_a_view_is_refused_when_it_is_compiled() -> None:
    view = {"resource": "Patient", "select": [{"column": [{"name": "v", "path": "'a\0b'"}]}]}
    with pytest.raises(UnsupportedViewError, match="NUL"):
        compile_view(view)


@settings(max_examples=40, deadline=None)
@given(TEXT)
def test_any_constant_comes_out_as_it_went_in(text: str) -> None:
    view = {
        "resource": "Patient",
        "constant": [{"name": "c", "valueString": text}],
        "select": [{"column": [{"name": "v", "path": "%c"}]}],
    }
    assert run_view(view, [PATIENT]).rows == [{"v": text}]


@settings(max_examples=40, deadline=None)
@given(TEXT)
def test_any_text_in_a_path_comes_out_as_it_went_in(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    assert run_column(f"'{escaped}'") == text


def test_a_constant_of_ten_megabytes() -> None:
    text = "x" * 10_000_000
    assert run_column(f"'{text}'.length()") == 10_000_000


def test_two_thousand_columns() -> None:
    columns = [{"name": f"c{n}", "path": "name.first().family"} for n in range(2_000)]
    rows = run_view({"resource": "Patient", "select": [{"column": columns}]}, [PATIENT]).rows
    assert rows == [{f"c{n}": "F" for n in range(2_000)}]


@pytest.mark.parametrize("depth", [50, 200, 5_000])
@pytest.mark.parametrize("directive", [{}, {"forEach": "$this"}])
def test_selects_nested_deep(depth: int, directive: dict[str, str]) -> None:
    select: dict[str, Any] = {"column": [{"name": "v", "path": "id"}]}
    for _ in range(depth):
        select = {"select": [select], **directive}
    view = {"resource": "Patient", "select": [select]}
    started = time.monotonic()
    try:
        rows = run_view(view, [PATIENT]).rows
    except UnsupportedViewError as error:
        said = str(error)
    else:
        said = "deep" if rows == [{"v": "p1"}] else ""
    assert "deep" in said
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "path",
    [
        "(" * 5_000 + "id" + ")" * 5_000,
        "-" * 5_000 + "1",
        " and ".join(["active"] * 5_000),
        "id" + ".first()" * 5_000,
        "name" + ".where(true)" * 100 + ".family",
        " = ".join(["active"] * 60),
        "name.where(" * 30 + "true" + ")" * 30,
        "name.where(%resource." * 9 + "name.exists()" + ")" * 8 + ").exists()",
        "name.where(%resource." * 12 + "name.exists()" + ")" * 11 + ").exists()",
        "name.select(given | " * 9 + "given" + ")" * 9,
        "1" + " * 2" * 50,
    ],
)
def test_paths_nested_deep(path: str) -> None:
    started = time.monotonic()
    with suppress(UnsupportedViewError):
        run_column(path)
    assert time.monotonic() - started < 10


def test_a_structure_inside_itself_too_deep_is_an_error_not_a_loss() -> None:
    item: dict[str, Any] = {"linkId": "leaf"}
    for n in range(30):
        item = {"linkId": str(n), "item": [item]}
    column = {"name": "link", "path": "linkId"}
    view = {"resource": "Questionnaire", "select": [{"repeat": ["item"], "column": [column]}]}
    with pytest.raises(UnsupportedViewError, match="deeper than 12 levels"):
        run_view(view, [{"resourceType": "Questionnaire", "id": "q", "item": [item]}])


def test_repeating_over_the_node_itself_ends() -> None:
    column = {"name": "v", "path": "family"}
    view = {"resource": "Patient", "select": [{"repeat": ["name", "$this"], "column": [column]}]}
    with pytest.raises(UnsupportedViewError):
        run_view(view, [PATIENT])


@pytest.mark.parametrize("path", ["item.where(repeat(item).empty())", "repeat(item)"])
def test_repeating_inside_repeating_is_refused(path: str) -> None:
    column = {"name": "v", "path": "linkId"}
    view = {"resource": "Questionnaire", "select": [{"repeat": [path], "column": [column]}]}
    with pytest.raises(UnsupportedViewError, match="nest selects"):
        run_view(view, [])


def test_importing_the_compiler_brings_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, ecw_pipeline.sql_on_fhir.compiler;"
        "print([m for m in ('duckdb', 'pydantic', 'fhir.resources') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_view_compiles_in_milliseconds() -> None:
    view = {"resource": "Patient", "select": [{"column": [{"name": "v", "path": "id"}]}]}
    compile_view(view)
    started = time.process_time()
    compile_view(view)
    assert time.process_time() - started < 0.05
