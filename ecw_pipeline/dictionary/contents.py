"""What the dictionary says: every table with its columns and keys, and how tables hang together."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ecw_pipeline.dictionary.left_out import in_groups, left_out
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.marts.catalog import Mart, built_in_rules
from ecw_pipeline.stages.tables import Table
from ecw_pipeline.view_definitions.catalog import ATTACHMENT
from ecw_pipeline.warehouse import attachments
from ecw_pipeline.warehouse.database import working_warehouse
from ecw_pipeline.warehouse.mart_runner import (
    build_mart,
    mart_columns,
    write_code_lists,
    write_rules,
)

# eClinicalWorks offers these too; they hold nothing that a table of rows would tell. What a Binary
# holds is a file, named in core.attachment.
LANDED_ONLY = ("Basic", "Binary", "OperationDefinition", "Questionnaire")
_TARGET = re.compile(r"getReferenceKey\((\w+)\)")


@dataclass(frozen=True)
class Column:
    """One column: its SQL type, what it means, and the FHIRPath it is from."""

    name: str
    type: str
    comment: str
    path: str = ""
    refers_to: str = ""


@dataclass(frozen=True)
class Entry:
    """One table of `core` (with its twin in `history`), or one mart.

    A main table's ``left_out`` are the paths of its type that are in no table.
    """

    schema: str
    name: str
    title: str
    description: str
    resource: str = ""
    key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    reads: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def entries(tables: Mapping[str, Table], marts: Mapping[str, Mart]) -> list[Entry]:
    """The tables by resource type, each type's main table first; documents; then the marts."""
    in_order = sorted(tables.values(), key=lambda t: (t.resource_type, not t.is_main, t.name))
    main_tables = {t.resource_type: t.name for t in in_order if t.is_main}
    described = [_of_table(table, main_tables) for table in in_order]
    unread = {
        main_tables[kind]: tuple(in_groups(left_out(same)))
        for kind, same in groupby(in_order, lambda table: table.resource_type)
        if kind in main_tables
    }
    described = [replace(one, left_out=unread.get(one.name, ())) for one in described]
    return [*described, _of_attachments(), *_of_marts(tables, marts, main_tables.values())]


def _of_table(table: Table, main_tables: Mapping[str, str]) -> Entry:
    paths = {column.name: column.path for column in table.compiled.columns}
    columns = tuple(
        Column(c.name, c.sql_type, c.comment, path, _target(c.name, path, table, main_tables))
        for c in table.in_warehouse.columns
        for path in [paths.get(c.name, "")]
    )
    title = str(table.view.get("title", table.name))
    kind, key = table.resource_type, table.in_warehouse.row_key
    return Entry("core", table.name, title, table.description, kind, key, columns)


def _of_attachments() -> Entry:
    """The one table that is made from others."""
    columns = tuple(
        Column(c.name, c.sql_type, c.comment, "", "patient" if c.name == "patient_id" else "")
        for c in attachments.COLUMNS
    )
    about = (
        f"{attachments.COMMENT}. A view, without a twin in history: made from"
        f" {', '.join(f'core.{name}' for name in attachments.SOURCE_TABLES)}, and from"
        " ops.attachment, which ecw attachments fills."
    )
    key = ("connection_id", "resource_type", "resource_id", "element", "ordinal")
    return Entry("core", ATTACHMENT, "Documents as files", about, "Attachment", key, columns)


def _target(name: str, path: str, table: Table, main_tables: Mapping[str, str]) -> str:
    """The main table that a column's ids are of, where the view says which."""
    if not table.is_main and name == f"{snake_case(table.resource_type)}_id":
        return main_tables.get(table.resource_type, "")
    found = _TARGET.search(path)
    return main_tables.get(found[1], "") if found else ""


def _of_marts(
    tables: Mapping[str, Table], marts: Mapping[str, Mart], main_tables: Collection[str]
) -> Iterator[Entry]:
    """The marts; what type a column is of, only their queries tell, asked of empty tables."""
    with (
        TemporaryDirectory() as folder,
        working_warehouse(Path(folder) / "empty.duckdb") as connection,
    ):
        for table in tables.values():
            for statement in table.in_warehouse.bare_ddl():
                connection.execute(statement)
        write_code_lists(connection, [("", "", "", "")])
        write_rules(connection, [astuple(rule) for rule in built_in_rules()])
        for mart in marts.values():
            build_mart(connection, mart.name, mart.question, mart.sql, mart.meanings)
        found = mart_columns(connection)
    for mart in marts.values():
        columns = (
            Column(c.name, c.sql_type, c.comment, refers_to=_named(c.name, main_tables))
            for c in found[mart.name]
        )
        yield _of_mart(mart, tuple(columns))


def _of_mart(mart: Mart, columns: tuple[Column, ...]) -> Entry:
    reads = tuple(sorted(mart.core_tables))
    about = mart.caveats
    return Entry("marts", mart.name, mart.question, about, columns=columns, reads=reads)


def _named(column: str, main_tables: Collection[str]) -> str:
    """The main table whose ids a column of a mart is named after."""
    name = column.removesuffix("_id")
    return name if name != column and name in main_tables else ""


def as_data(found: Iterable[Entry]) -> list[dict[str, Any]]:
    """The entries as JSON has them, without what is empty."""
    return [_told(asdict(one)) for one in found]


def _told(item: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in item.items() if value}
    if "columns" in told:
        told["columns"] = [_told(column) for column in told["columns"]]
    return told
