"""Every column of every table has a value somewhere in the made-up population."""

import pytest

from ecw_pipeline.quoting import identifier
from ecw_pipeline_tests.view_definitions.sources import population
from ecw_pipeline_tests.view_definitions.tables import built_in_tables, rows_of, screened_file

TABLES = sorted(built_in_tables())
# What the sandbox never fills, and why.
LEFT_EMPTY = {
    "group_member.member_display": "its lists refer to members by id alone, as bulk exports do",
    "group_member.period_start": "its lists are of who belongs now, not of who has since when",
    "group_member.period_start_at": "its lists are of who belongs now, not of who has since when",
    "group_member.period_end": "its lists are of who belongs now",
    "group_member.period_end_at": "its lists are of who belongs now",
}


@pytest.mark.parametrize("name", TABLES)
def test_every_column_has_a_value_or_a_reason(name: str) -> None:
    table = built_in_tables()[name]
    columns = [column.name for column in table.in_warehouse.columns]
    counts = ", ".join(f"count({identifier(c)}) AS {identifier(c)}" for c in columns)

    with screened_file(population()[table.resource_type]) as path:
        (counted,) = rows_of(name, path, counts)

    empty = {f"{name}.{column}" for column, values in counted.items() if not values}
    assert empty == {one for one in LEFT_EMPTY if one.startswith(f"{name}.")}
