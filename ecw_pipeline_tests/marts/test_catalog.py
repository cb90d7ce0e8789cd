"""What holds for every built-in mart."""

import pytest

from ecw_pipeline.marts.catalog import Mart, built_in_marts
from ecw_pipeline_tests.marts.warehouse import Warehouse

every_mart = pytest.mark.parametrize(
    "mart", [pytest.param(mart, id=name) for name, mart in built_in_marts().items()]
)


@every_mart
def test_a_mart_says_what_it_answers_and_for_what_rows(mart: Mart) -> None:
    lines = mart.sql.splitlines()

    assert mart.question.endswith("?")
    assert lines[1].startswith("-- Grain: one row per ")
    assert "Key: (" in mart.sql


@every_mart
def test_a_mart_runs_on_empty_tables(mart: Mart, warehouse: Warehouse) -> None:
    assert warehouse.mart(mart.name) == []


@every_mart
def test_a_mart_is_one_statement(mart: Mart, warehouse: Warehouse) -> None:
    assert len(warehouse.connection.extract_statements(mart.sql)) == 1
