"""The README and docs say what there is: every setting, command and schema."""

import json
import re
from pathlib import Path

import polars
import pyarrow
import pytest
import typer
from typer.testing import CliRunner

from ecw_pipeline.api import openapi
from ecw_pipeline.api.shapes import BulkExportBody, EnhancedSyncBody, JobReply
from ecw_pipeline.cli.app import app
from ecw_pipeline.errors import EcwError
from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.settings import ConnectionSettings, Settings
from ecw_pipeline.sql_on_fhir.compiler import compile_view
from ecw_pipeline.sql_on_fhir.functions import FUNCTIONS
from ecw_pipeline.sql_on_fhir.special_forms import REFUSED, SPECIAL_FORMS
from ecw_pipeline.warehouse.database import working_warehouse
from ecw_pipeline_tests.empty_warehouse import empty_warehouse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = README + "".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))
VIEWS = (ROOT / "docs" / "views.md").read_text("utf-8")
CODE_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def blocks(language: str, page: str = README) -> list[str]:
    return [text for name, text in CODE_BLOCK.findall(page) if name == language]


def test_every_setting_is_documented() -> None:
    aliases = {str(field.validation_alias) for field in Settings.model_fields.values()}

    assert [name for name in sorted(aliases) if f"`{name}`" not in README] == []


def test_every_command_is_documented() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]

    assert [name for name in sorted(commands) if f"ecw {name}" not in PAGES] == []


def test_the_marts_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"marts\.([a-z0-9_]+)", README))

    assert named
    assert named <= set(built_in_marts())


def test_every_query_on_a_page_runs(tmp_path: Path) -> None:
    empty_warehouse(tmp_path / "working.duckdb")

    with working_warehouse(tmp_path / "working.duckdb") as connection:
        asked = re.findall(r'ecw sql "([^"…]+)"', PAGES)
        texts = [*blocks("sql", PAGES), *asked]
        queries = [one for text in texts for one in connection.extract_statements(text)]
        for query in queries:
            connection.execute(query)

    assert asked
    assert len(queries) >= 6


def test_the_python_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty_warehouse(tmp_path / "data" / "warehouse.duckdb")
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {}

    for text in blocks("python"):
        exec(text, known)

    assert isinstance(known["frame"], polars.DataFrame)
    assert isinstance(known["table"], pyarrow.Table)


def test_the_view_in_the_readme_compiles() -> None:
    (text,) = blocks("json")

    columns = [column.name for column in compile_view(json.loads(text), with_keys=True).columns]

    assert columns[:4] == ["patient_id", "ordinal", "kind", "value"]


def test_the_view_on_the_page_of_views_compiles() -> None:
    (text,) = blocks("json", VIEWS)

    columns = {column.name: column.sql_type for column in compile_view(json.loads(text)).columns}

    assert columns == {
        "patient": "VARCHAR",
        "percent": "DOUBLE",
        "percent_text": "VARCHAR",
        "measured": "VARCHAR",
    }


def test_the_page_of_views_tells_of_every_function_and_of_no_other() -> None:
    taken, refused = VIEWS.split("Refused, each")
    named, named_as_refused = (
        set(re.findall(r"`(\w+)\(\)`", re.sub(r"^[^|].*", "", page, flags=re.MULTILINE)))
        for page in (taken, refused)
    )

    assert named == set(FUNCTIONS) | set(SPECIAL_FORMS)
    assert named_as_refused - {"getReferenceKey"} == set(REFUSED)


def test_the_check_in_the_readme_says_what_the_command_says(tmp_path: Path) -> None:
    (text,) = blocks("json")
    (tmp_path / "view.json").write_text(text, encoding="utf-8")

    told = CliRunner().invoke(app, ["view", "check", str(tmp_path)])

    assert f"ecw view check my_views\n{told.stdout}\n" in README


def test_the_connections_file_in_the_readme_names_real_keys() -> None:
    (text,) = blocks("toml")
    keys = set(re.findall(r"^(\w+) =", text, re.MULTILINE))

    assert keys <= set(ConnectionSettings.model_fields) | {"client_secret_env"}


def test_every_exit_code_is_documented() -> None:
    codes = {kind.exit_code for kind in EcwError.__subclasses__()}

    sentence = README[README.index("exit codes say") :].split("\n\n")[0]
    assert codes <= {int(number) for number in re.findall(r"\b\d\b", sentence)}


def test_the_calls_in_the_api_page_are_those_there_are() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")

    named = set(re.findall(r"\| `([A-Z]+) (/api/[^`?]*)", page))

    described = openapi.document("0")["paths"]
    assert named == {(way.upper(), path) for path, ways in described.items() for way in ways}


def test_the_examples_in_the_api_page_are_of_its_shapes() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    (sent,) = re.findall(r"-d '(\{.*?\})'", page)
    (received,) = blocks("json", page)
    (synced,) = re.findall(r"`(\{\"connectionId\".*?\})`", page)

    BulkExportBody.model_validate_json(sent)
    JobReply.model_validate_json(received)
    EnhancedSyncBody.model_validate_json(synced)
