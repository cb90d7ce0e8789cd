"""One resource of each type, with nearly every element filled: every row, column by column.

The examples were written by hand and their rows read against them by hand. A column that is not
named is null. Decimals in a resource have zeros at the end to show that their text is kept.
"""

from decimal import Decimal

import pytest

from ecw_pipeline_tests.view_definitions.tables import (
    built_in_tables,
    example,
    main_table,
    table_rows,
)

TABLES = sorted(built_in_tables())


@pytest.mark.parametrize("name", TABLES)
def test_an_example_becomes_exactly_these_rows(name: str) -> None:
    one = example(main_table(name))

    rows = table_rows(name, one["resource"])

    assert rows == [
        {
            column: float(value) if isinstance(value, Decimal) else value
            for column, value in row.items()
        }
        for row in one["rows"][name]
    ]


def test_every_table_has_rows_in_an_example() -> None:
    assert [name for name in TABLES if not example(main_table(name))["rows"][name]] == []
