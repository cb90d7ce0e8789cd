"""One resource of each type, with nearly every element filled: every row, column by column.

The examples were written by hand and their rows read against them by hand. A column that is not
named is null. Decimals in a resource have zeros at the end to show that their text is kept.
"""

from pathlib import Path

import pytest

from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline_tests.view_definitions.tables import (
    built_in_tables,
    read_json,
    table_rows,
)

FOLDER = Path(__file__).parent / "examples"
EXAMPLES = {path.stem: read_json(path) for path in sorted(FOLDER.glob("*.json"))}
TYPE_OF = {name: snake_case(table.resource_type) for name, table in built_in_tables().items()}


@pytest.mark.parametrize("name", sorted(TYPE_OF))
def test_an_example_becomes_exactly_these_rows(name: str) -> None:
    example = EXAMPLES[TYPE_OF[name]]

    rows = table_rows(name, example["resource"])

    assert rows == [
        {column: float(value) if is_number(value) else value for column, value in row.items()}
        for row in example["rows"][name]
    ]


def is_number(value: object) -> bool:
    return type(value).__name__ == "Decimal"


def test_every_table_has_rows_in_an_example() -> None:
    assert [name for name, main in TYPE_OF.items() if not EXAMPLES[main]["rows"][name]] == []
