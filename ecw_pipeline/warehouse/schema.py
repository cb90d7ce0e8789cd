"""What the warehouse needs to know of a table, and its DDL. Which tables exist: `stages.py`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ecw_pipeline.quoting import identifier, literal


@dataclass(frozen=True)
class WarehouseColumn:
    """One column: its name, DuckDB type and meaning."""

    name: str
    sql_type: str
    comment: str


PERIOD_COLUMNS = (
    WarehouseColumn("valid_from", "TIMESTAMPTZ", "From when this version was the current one"),
    WarehouseColumn("valid_to", "TIMESTAMPTZ", "When it ceased to be; itself not included"),
    WarehouseColumn("closed_by", "VARCHAR", "What ended it: superseded, deleted or absent"),
)


@dataclass(frozen=True)
class WarehouseTable:
    """One table of `core` and `history`: one resource type's rows, or the repeats in them.

    ``key`` is the column with the resource's id. ``fingerprint`` changes with the view.
    ``row_key`` tells its rows apart; empty where the view has nothing that does.
    """

    name: str
    resource_type: str
    key: str
    columns: tuple[WarehouseColumn, ...]
    comment: str
    fingerprint: str
    row_key: tuple[str, ...] = ()

    @property
    def references(self) -> dict[str, str]:
        """The columns that hold the id of another resource, with SQL for its type.

        The patient and the encounter are told of the main table alone: other tables repeat them.
        """
        names = {column.name for column in self.columns}
        kinds = {
            name: identifier(f"{name.removesuffix('_id')}_type")
            for name in names
            if name.endswith("_id") and f"{name.removesuffix('_id')}_type" in names
        }
        compartments = {"patient_id": "'Patient'", "encounter_id": "'Encounter'"}
        fixed = {n: kind for n, kind in compartments.items() if n in names and n != self.key}
        is_main = self.key == f"{self.name}_id"
        return dict(sorted(({**fixed, **kinds} if is_main else kinds).items()))

    @property
    def core_name(self) -> str:
        return f"core.{identifier(self.name)}"

    @property
    def history_name(self) -> str:
        return f"history.{identifier(self.name)}"

    def bare_ddl(self) -> list[str]:
        """Statements that make both tables new and empty: a tenth of the time of `ddl`."""
        named = ", ".join(f"{identifier(c.name)} {c.sql_type}" for c in self.columns)
        period = ", ".join(f"{c.name} {c.sql_type}" for c in PERIOD_COLUMNS)
        return [
            f"CREATE OR REPLACE TABLE {self.core_name} ({named})",
            f"CREATE OR REPLACE TABLE {self.history_name} ({named}, {period})",
        ]

    def ddl(self) -> list[str]:
        """Statements that make both tables new, empty and commented.

        Closed rows have the columns of current ones, whose comments are not said twice.
        """
        closed = f"Closed rows of {self.core_name}: its columns, and when they were current"
        return [
            *self.bare_ddl(),
            f"COMMENT ON TABLE {self.core_name} IS {literal(self.comment)}",
            f"COMMENT ON TABLE {self.history_name} IS {literal(closed)}",
            *_comments(self.core_name, self.columns),
            *_comments(self.history_name, PERIOD_COLUMNS),
        ]


def _comments(table: str, columns: Iterable[WarehouseColumn]) -> Iterator[str]:
    for column in columns:
        if column.comment:
            place = f"{table}.{identifier(column.name)}"
            yield f"COMMENT ON COLUMN {place} IS {literal(column.comment)}"
