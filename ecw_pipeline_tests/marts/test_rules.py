"""The functions that marts share. Most are also tried by what the tests of marts expect."""

from datetime import UTC, datetime

import pytest

from ecw_pipeline.marts.catalog import built_in_marts, built_in_rules
from ecw_pipeline_tests.marts.warehouse import Warehouse


@pytest.mark.parametrize(
    ("received", "precision", "end"),
    [
        ("2024", "year", datetime(2025, 1, 1, tzinfo=UTC)),
        ("2024-02", "month", datetime(2024, 3, 1, tzinfo=UTC)),
        ("2024-02-29", "day", datetime(2024, 3, 1, tzinfo=UTC)),
        ("2024-02-29T10:00:00Z", "second", datetime(2024, 2, 29, 10, 0, 0, 1, tzinfo=UTC)),
        ("2024-02-29T10:00:00.5Z", "fraction", datetime(2024, 2, 29, 10, 0, 0, 500_001, UTC)),
        (None, None, None),
    ],
)
def test_a_date_says_how_exactly_it_is_known_and_when_it_ends(
    received: str | None, precision: str | None, end: datetime | None, warehouse: Warehouse
) -> None:
    padded = received and received + {"year": "-01-01", "month": "-01"}.get(precision or "", "")
    asked = "SELECT date_precision($received), end_of($padded::TIMESTAMPTZ, $received)"

    found = warehouse.connection.execute(asked, {"received": received, "padded": padded})

    assert found.fetchone() == (precision, end)


def test_every_rule_says_what_it_tells_and_how_it_is_called(warehouse: Warehouse) -> None:
    asked = "SELECT function_name, comment FROM duckdb_functions() WHERE function_type = 'macro'"
    comments = dict(warehouse.connection.execute(asked).fetchall())

    for rule in built_in_rules():
        assert comments[rule.name] == rule.meaning
        assert rule.meaning.endswith(".")
        assert rule.signature.startswith(f"{rule.name}(")


@pytest.mark.parametrize("name", [rule.name for rule in built_in_rules()])
def test_a_rule_is_used(name: str) -> None:
    texts = [mart.sql for mart in built_in_marts().values()]
    texts += [rule.sql for rule in built_in_rules()]

    assert sum(f"{name}(" in text for text in texts) > 1
