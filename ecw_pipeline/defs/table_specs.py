"""What assets say of the table they make: in words, and column by column."""

from collections.abc import Sequence

import dagster as dg

from ecw_pipeline.stages.tables import Table, why_uncompilable
from ecw_pipeline.warehouse.schema import WarehouseColumn

SCHEMA = "dagster/column_schema"


def described(table: Table) -> str:
    """What a table is; of a user's own, also where it is from and why it fails, if it does."""
    if table.own is None:
        return table.description
    parts = (table.description, f"From {table.origin}.", why_uncompilable(table))
    return "\n\n".join(part for part in parts if part)


def columns_of_table(table: Table) -> dg.TableSchema:
    """The columns, each with the elements it is from: Dagster's open UI draws no column lineage.

    Raises:
        UnsupportedViewError: the view is wrong.
    """
    return dg.TableSchema(
        columns=[
            dg.TableColumn(c.name, c.sql_type, _from(c.comment, table.elements.get(c.name, ())))
            for c in table.in_warehouse.columns
        ]
    )


def columns_of_mart(columns: Sequence[WarehouseColumn]) -> dg.TableSchema:
    """The columns as the mart was built with them."""
    return dg.TableSchema(columns=[dg.TableColumn(c.name, c.sql_type, c.comment) for c in columns])


def _from(comment: str, elements: Sequence[str]) -> str:
    return f"{comment} ← {', '.join(elements)}" if elements else comment
