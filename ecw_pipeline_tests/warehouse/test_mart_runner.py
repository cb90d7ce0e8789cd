"""A mart is replaced whole; one that cannot run is named."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from ecw_pipeline.errors import MachineError, UnsupportedViewError
from ecw_pipeline.warehouse.database import working_warehouse
from ecw_pipeline.warehouse.mart_runner import build_mart, mart_columns
from ecw_pipeline.warehouse.schema import WarehouseColumn
from ecw_pipeline_tests.builders import no_room_for_files


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with working_warehouse(tmp_path_factory.mktemp("marts") / "w.duckdb") as connection:
        yield connection


def test_a_mart_holds_its_querys_rows_and_its_question(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    assert build_mart(warehouse, "m", "Whose?", "SELECT unnest([1, 2]) AS n;\n") == 2

    comment = warehouse.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'm'")
    assert comment.fetchall() == [("Whose?",)]
    assert warehouse.execute("FROM marts.m").fetchall() == [(1,), (2,)]


def test_a_marts_columns_say_what_they_mean(warehouse: duckdb.DuckDBPyConnection) -> None:
    meanings = {"who": "Ann's kind", "gone": "not here any more"}
    build_mart(warehouse, "meant", "", "SELECT 1 AS n, 'x' AS who", meanings)

    assert mart_columns(warehouse)["meant"] == [
        WarehouseColumn("n", "INTEGER", ""),
        WarehouseColumn("who", "VARCHAR", "Ann's kind"),
    ]


def test_a_mart_built_again_is_replaced(warehouse: duckdb.DuckDBPyConnection) -> None:
    build_mart(warehouse, "again", "", "SELECT 1 AS n")
    build_mart(warehouse, "again", "", "SELECT 'two' AS word")

    assert warehouse.execute("FROM marts.again").fetchall() == [("two",)]


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "SELECT * FROM core.nowhere", "SELECT error('x') AS n", ""]
)
def test_a_mart_that_cannot_run_is_named(warehouse: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(UnsupportedViewError, match=r"marts/broken\.sql cannot run: "):
        build_mart(warehouse, "broken", "", sql)


def test_a_mart_that_cannot_run_any_more_keeps_its_last_rows(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    build_mart(warehouse, "kept", "", "SELECT 1 AS n")

    with pytest.raises(UnsupportedViewError):
        build_mart(warehouse, "kept", "", "SELECT error('x') AS n")

    assert warehouse.execute("FROM marts.kept").fetchall() == [(1,)]


def test_a_query_that_ends_in_a_comment_runs(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert build_mart(warehouse, "m", "", "SELECT 1 AS n -- the only one") == 1


def test_an_odd_name_and_question_are_quoted(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert build_mart(warehouse, 'odd "name"', "whose? Ann's", "SELECT 1 AS n") == 1


def test_an_error_never_shows_a_value_of_the_data(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("CREATE OR REPLACE TABLE core.secret AS SELECT 'Jane Roe' AS family")

    with pytest.raises(UnsupportedViewError) as caught:
        build_mart(warehouse, "m", "", "SELECT family::DATE AS born FROM core.secret")

    assert "Roe" not in str(caught.value)


def test_a_full_disk_is_not_blamed_on_the_mart(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError),
        working_warehouse(tmp_path / "w.duckdb") as connection,
        no_room_for_files(),
    ):
        build_mart(connection, "m", "", "SELECT i AS n FROM range(1_000_000) r(i)")
