"""The tables there are: views compiled with the pipeline's own columns around them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.fhir import structure
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.sql_on_fhir.compiler import MAXIMUM_LINE_BYTES, CompiledView, compile_view
from ecw_pipeline.sql_on_fhir.lineage import elements_of
from ecw_pipeline.view_definitions.catalog import OwnView, built_in_views, own_views
from ecw_pipeline.warehouse.schema import WarehouseColumn, WarehouseTable

# Raised when what a flat file holds changes for the same view: flat files are then written anew.
LAYOUT_VERSION = 2
MEND = "mend the file and load again: nothing is fetched anew for it"

_CONNECTION = WarehouseColumn("connection_id", "VARCHAR", "The connection (practice) it came from")
_PROVENANCE = {
    "meta_last_updated": "When the server says the resource last changed, as received",
    "source_line": "The line of source_file that this row was read from, counted from 1",
}
_EXPORT = WarehouseColumn("export_id", "VARCHAR", "The earliest export that carried this version")
_FILE = WarehouseColumn("source_file", "VARCHAR", "The file of that export, in its landing folder")


@dataclass(frozen=True)
class Table:
    """One table: its view, compiled when first needed.

    Args:
        own: the user's file that the view is from; None for a built-in one.
        is_override: whether that file takes the place of a built-in view.
    """

    name: str
    view: dict[str, Any]
    own: OwnView | None = None
    is_override: bool = False

    @property
    def resource_type(self) -> str:
        """The type it is made from; empty where the view names none that FHIR has."""
        named = self.view.get("resource")
        return named if isinstance(named, str) and structure.is_resource(named) else ""

    @property
    def is_main(self) -> bool:
        """Whether it holds one row per resource of its type."""
        return self.name == snake_case(self.resource_type)

    @property
    def description(self) -> str:
        return str(self.view.get("description") or self.view.get("title") or "")

    @property
    def origin(self) -> str:
        """Where its view is from, in words."""
        if self.own is None:
            return "the built-in view"
        return self.own.file + ", in place of the built-in view" * self.is_override

    @cached_property
    def fingerprint(self) -> str:
        """Changes when the view does."""
        text = json.dumps(self.view, sort_keys=True) + str(LAYOUT_VERSION)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def compiled(self) -> CompiledView:
        """The view as SQL, with the keys and places every table has.

        Raises:
            UnsupportedViewError: the view is wrong; of a user's own, the file is named.
        """
        if self.own is None:
            return compile_view(self.view, with_keys=True)
        if self.own.problem:
            raise UnsupportedViewError(self.own.problem, self.own.next_step)
        try:
            return compile_view(self.view, with_keys=True)
        except UnsupportedViewError as error:
            raise UnsupportedViewError(f"{self.own.file}: {error.message}", MEND) from error

    @cached_property
    def elements(self) -> dict[str, tuple[str, ...]]:
        """Which elements of the resource each of the view's columns is computed from.

        Raises:
            UnsupportedViewError: the view is wrong.
        """
        return elements_of(self.compiled.plan)

    @cached_property
    def in_warehouse(self) -> WarehouseTable:
        """The table as `core` holds it.

        Raises:
            UnsupportedViewError: the view is wrong.
        """
        inner = [
            WarehouseColumn(
                c.name, c.sql_type, c.description or _PROVENANCE.get(c.name, "") or c.path
            )
            for c in self.compiled.columns
        ]
        columns = (_CONNECTION, *inner[:-1], _EXPORT, _FILE, inner[-1])
        key = f"{snake_case(self.resource_type)}_id"
        return WarehouseTable(
            self.name,
            self.resource_type,
            key,
            columns,
            self.description,
            self.fingerprint,
            self._row_key(key),
        )

    def _row_key(self, key: str) -> tuple[str, ...]:
        """The resource, and in a table of repeats the positions and names of its elements.

        A user's view need not say which of several repeats a row is from.
        """
        if self.is_main:
            return "connection_id", key
        if self.own:
            return ()
        told = [column.name for column in self.compiled.columns if _tells_rows_apart(column.path)]
        return "connection_id", key, *told

    def flat_select(
        self,
        connection_id: str,
        export_id: str,
        source_file: str,
        screened: Path,
        maximum_line_bytes: int = MAXIMUM_LINE_BYTES,
    ) -> str:
        """The query that gives this table's rows of one screened file."""
        lines = self.compiled.from_ndjson([screened], maximum_line_bytes=maximum_line_bytes)
        return self.flat_rows(connection_id, export_id, source_file, lines)

    def flat_rows(self, connection_id: str, export_id: str, source_file: str, lines: str) -> str:
        """The query that gives this table's rows of a relation with the columns it reads."""
        fixed = {
            "connection_id": literal(connection_id),
            "export_id": literal(export_id),
            "source_file": literal(source_file),
        }
        columns = ", ".join(
            f"{fixed[c.name]} AS {identifier(c.name)}" if c.name in fixed else identifier(c.name)
            for c in self.in_warehouse.columns
        )
        return f"SELECT {columns} FROM (\n{self.compiled.select(lines)}\n)"


def _tells_rows_apart(path: str) -> bool:
    """Whether a path is a position, or a constant that is another in other branches of a union."""
    return path == "%rowIndex" or path[:1] == "'" or path.isdigit()


def all_tables(user_folder: Path | None) -> dict[str, Table]:
    """Every table by name, built-in and the user's own.

    Raises:
        ConfigurationError: the user's folder cannot be read.
    """
    return with_own(own_views(user_folder))


def with_own(own: Mapping[str, OwnView]) -> dict[str, Table]:
    """The built-in tables, and those of the user's files.

    A file decides over the table it names, also one that is built in, and also while it cannot
    be used: then the table stays as it is until the file is mended.
    """
    built_in = _built_in()
    return built_in | {
        name: Table(name, file.view, file, name in built_in) for name, file in own.items()
    }


@cache
def _built_in() -> dict[str, Table]:
    """The built-in tables, each compiled once in a process: they are part of the package."""
    return {name: Table(name, view) for name, view in built_in_views().items()}


def tables_of(tables: dict[str, Table], resource_type: str) -> list[Table]:
    """The tables made from one resource type."""
    return [table for table in tables.values() if table.resource_type == resource_type]


def why_uncompilable(table: Table) -> str:
    """Why a table's view cannot be compiled; empty where it can."""
    try:
        _ = table.in_warehouse
    except UnsupportedViewError as error:
        return str(error)
    return ""


def why_a_view_may_be_hidden(tables: dict[str, Table]) -> str:
    """Why a table whose view is not found may still be wanted; empty where every file is read."""
    unnamed = [t.own.file for t in tables.values() if t.own and not t.own.is_named]
    if not unnamed:
        return ""
    return f"its view is not found; it may be in {unnamed[0]}, which names none → mend that file"
