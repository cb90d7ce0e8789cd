"""What the warehouse needs to know of a table, and its DDL. Which tables exist: `stages.py`."""

from dataclasses import dataclass

from ecw_pipeline.quoting import identifier, literal


@dataclass(frozen=True)
class WarehouseColumn:
    """One column: its name, DuckDB type and meaning."""

    name: str
    sql_type: str
    comment: str


@dataclass(frozen=True)
class WarehouseTable:
    """One table of `core`: one resource type's rows, or the repeats in them.

    ``key`` is the column with the resource's id. ``fingerprint`` changes with the view.
    """

    name: str
    resource_type: str
    key: str
    columns: tuple[WarehouseColumn, ...]
    comment: str
    fingerprint: str

    @property
    def core_name(self) -> str:
        return f"core.{identifier(self.name)}"

    def ddl(self) -> list[str]:
        """Statements that make the table new, empty and commented."""
        columns = ", ".join(f"{identifier(c.name)} {c.sql_type}" for c in self.columns)
        comments = [
            f"COMMENT ON COLUMN {self.core_name}.{identifier(c.name)} IS {literal(c.comment)}"
            for c in self.columns
            if c.comment
        ]
        return [
            f"CREATE OR REPLACE TABLE {self.core_name} ({columns})",
            f"COMMENT ON TABLE {self.core_name} IS {literal(self.comment)}",
            *comments,
        ]
