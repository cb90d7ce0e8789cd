"""`core.attachment`: the attachments of current resources, each with its file, as a view.

It is made of the tables that list attachments and of `ops.attachment`, which says what came of
each; so a row follows its resource with every load. Fetching them: `stages/attachments.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.view_definitions.catalog import ATTACHMENT
from ecw_pipeline.warehouse.bookkeeping import insert_many
from ecw_pipeline.warehouse.schema import WarehouseColumn

COMMENT = "One row per document that a current resource names or holds, with the file it came as."
# What tells one attachment from another, in this order, in SQL over `listed`. One that is held by
# its resource is told by its place. One at an address is the same for all resources that name it
# with the same hash; without a hash, until a resource that names it has changed.
_ID = """md5(concat_ws(chr(31), connection_id, coalesce(url, ''), coalesce(declared_type, ''),
    coalesce(declared_bytes::VARCHAR, ''), CASE WHEN is_inline
    THEN concat_ws('/', export_id, source_file, source_line, element, ordinal)
    ELSE coalesce(sha1, export_id) END))"""


@dataclass(frozen=True)
class _Source:
    """A table of `core` that lists attachments, and its names for what we need."""

    table: str
    resource_type: str
    key: str
    element: str
    ordinal: str = "ordinal"
    prefix: str = ""
    sha1: str = "hash"

    @property
    def columns(self) -> Mapping[str, str]:
        """Ours by theirs; a number is no column."""
        return {
            "resource_id": self.key,
            "patient_id": "patient_id",
            "ordinal": self.ordinal,
            "title": f"{self.prefix}title",
            "url": f"{self.prefix}url",
            "is_inline": f"{self.prefix}is_inline",
            "declared_type": f"{self.prefix}content_type",
            "declared_bytes": f"{self.prefix}size_bytes",
            "sha1": f"{self.prefix}{self.sha1}",
        }

    def select(self) -> str:
        """Its rows that name or hold a document, under our names."""
        named = ", ".join(f"{theirs} AS {ours}" for ours, theirs in self.columns.items())
        return (
            f"SELECT connection_id, {literal(self.resource_type)} AS resource_type,"
            f" {literal(self.element)} AS element, {named}, export_id, source_file, source_line"
            f" FROM core.{identifier(self.table)}"
            f" WHERE {self.prefix}url IS NOT NULL OR {self.prefix}is_inline"
        )


_SOURCES = (
    _Source(
        "diagnostic_report_presented_form",
        "DiagnosticReport",
        "diagnostic_report_id",
        "DiagnosticReport.presentedForm",
    ),
    _Source(
        "document_reference_content",
        "DocumentReference",
        "document_reference_id",
        "DocumentReference.content",
        sha1="sha1",
    ),
    _Source(
        "communication_payload",
        "Communication",
        "communication_id",
        "Communication.payload",
        prefix="attachment_",
    ),
    _Source("media", "Media", "media_id", "Media.content", ordinal="0", sha1="sha1"),
)
SOURCE_TABLES = tuple(one.table for one in _SOURCES)
COLUMNS = (
    WarehouseColumn("connection_id", "VARCHAR", "The connection (practice) it came from"),
    WarehouseColumn("resource_type", "VARCHAR", "Type of the resource that names or holds it"),
    WarehouseColumn("resource_id", "VARCHAR", "FHIR id of that resource"),
    WarehouseColumn("patient_id", "VARCHAR", "FHIR id of the patient that resource is about"),
    WarehouseColumn("element", "VARCHAR", "Where in the resource: DiagnosticReport.presentedForm"),
    WarehouseColumn("ordinal", "INTEGER", "Position in that element's list, from 0"),
    WarehouseColumn("title", "VARCHAR", "Title, as the resource says"),
    WarehouseColumn("url", "VARCHAR", "Where the server has it, as the resource says"),
    WarehouseColumn("is_inline", "BOOLEAN", "Whether the resource holds it itself"),
    WarehouseColumn("declared_type", "VARCHAR", "MIME type, as the resource says"),
    WarehouseColumn("declared_bytes", "BIGINT", "Size in bytes, as the resource says"),
    WarehouseColumn("sha1", "VARCHAR", "SHA-1 in base64, as the resource says"),
    WarehouseColumn(
        "state",
        "VARCHAR",
        "planned, fetched, gone, refused, unwanted, too_large, wrong_type, changed, unreadable"
        " or failed",
    ),
    WarehouseColumn("error", "VARCHAR", "Why there is no file, and what to do"),
    WarehouseColumn("sha256", "VARCHAR", "SHA-256 of the file, in hex"),
    WarehouseColumn("path", "VARCHAR", "The file, in the data folder"),
    WarehouseColumn("size_bytes", "BIGINT", "Size of the file in bytes"),
    WarehouseColumn("content_type", "VARCHAR", "MIME type of the file"),
    WarehouseColumn("text", "VARCHAR", "Text of the file, where it is text, HTML or PDF"),
    WarehouseColumn("export_id", "VARCHAR", "The earliest export that carried this version"),
    WarehouseColumn("source_file", "VARCHAR", "The file of that export, in its landing folder"),
    WarehouseColumn("source_line", "BIGINT", "The line of source_file, counted from 1"),
    WarehouseColumn("attachment_id", "VARCHAR", "Its id in ops.attachment"),
)
_FROM_OPS = {
    "state": "coalesce(a.state, 'planned')",
    "error": "a.error",
    "sha256": "a.sha256",
    "path": "'attachments/' || a.sha256[:2] || '/' || a.sha256",
    "size_bytes": "a.size_bytes",
    "content_type": "a.content_type",
    "text": "a.text",
    "attachment_id": "l.attachment_id",
}


@dataclass(frozen=True)
class Listed:
    """An attachment to be had: what is said of it, and where it is.

    ``held_in`` are the export, file and line that hold its bytes, in a resource or a Binary that
    has landed; None where it is only at its ``url``.
    """

    attachment_id: str
    url: str
    declared_type: str
    declared_bytes: int | None
    sha1: str
    element: str
    ordinal: int
    held_in: tuple[str, str, int] | None


def define_view(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `core.attachment` of the tables there are now.

    A view of the user's own that took a built-in one's place and lacks a column is left out.
    """
    known: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'core'"
    ).fetchall():
        known.setdefault(table, set()).add(column)
    none = ", ".join(f"NULL::{c.sql_type} AS {c.name}" for c in COLUMNS if c.name not in _FROM_OPS)
    usable = [
        one.select()
        for one in _SOURCES
        if known.get(one.table, set()) >= {c for c in one.columns.values() if not c.isdecimal()}
    ]
    listed = "\nUNION ALL BY NAME ".join([f"SELECT {none} WHERE false", *usable])
    columns = ", ".join(
        f"({_FROM_OPS.get(c.name, f'l.{c.name}')})::{c.sql_type} AS {c.name}" for c in COLUMNS
    )
    connection.execute(
        f"CREATE OR REPLACE VIEW core.{ATTACHMENT} AS\nSELECT {columns}\n"
        f"FROM (SELECT *, {_ID} AS attachment_id FROM (\n{listed}\n)) AS l\n"
        "LEFT JOIN ops.attachment AS a USING (attachment_id)"
    )
    connection.execute(f"COMMENT ON VIEW core.{ATTACHMENT} IS {literal(COMMENT)}")
    for column in COLUMNS:
        place = f"core.{ATTACHMENT}.{identifier(column.name)}"
        connection.execute(f"COMMENT ON COLUMN {place} IS {literal(column.comment)}")


def listed(
    connection: duckdb.DuckDBPyConnection, connection_id: str, base_url: str, batch_rows: int
) -> Iterator[list[Listed]]:
    """The attachments of a connection's current resources, each once, in batches.

    What has landed comes first, in the order of its lines. A Binary that has landed is told by
    its URL: below the server's base, or relative to it.
    """
    cursor = connection.execute(
        """
        WITH named AS (
            SELECT DISTINCT ON (attachment_id) attachment_id, url, declared_type, declared_bytes,
                   sha1, element, ordinal, is_inline, export_id, source_file, source_line,
                   CASE WHEN starts_with(url, $base) THEN substr(url, length($base) + 1)
                        ELSE url END AS reference
            FROM core.attachment WHERE connection_id = $connection_id
        ), binaries AS (
            SELECT resource_key, export_id, source_file, source_line FROM ops.resource_span
            WHERE resource_type = 'Binary' AND valid_to IS NULL
        )
        SELECT attachment_id, coalesce(url, ''), coalesce(declared_type, ''), declared_bytes,
               coalesce(sha1, ''), if(is_inline, element, 'Binary'), ordinal,
               if(is_inline, n.export_id, b.export_id) AS held_export,
               if(is_inline, n.source_file, b.source_file) AS held_file,
               if(is_inline, n.source_line, b.source_line) AS held_line
        FROM named AS n LEFT JOIN binaries AS b ON b.resource_key = md5_number(
            $connection_id || '/Binary/'
            || nullif(regexp_extract(reference, '^Binary/([A-Za-z0-9._-]{1,256})$', 1), ''))
        ORDER BY held_export NULLS LAST, held_file, held_line, ordinal, attachment_id
        """,
        {"connection_id": connection_id, "base": f"{base_url}/"},
    )
    while rows := cursor.fetchmany(batch_rows):
        yield [Listed(*(*row[:7], row[7:] if row[7] else None)) for row in rows]


def count_listed(connection: duckdb.DuckDBPyConnection, connection_id: str) -> int:
    """How many attachments a connection's current resources have."""
    found = connection.execute(
        "SELECT count(DISTINCT attachment_id) FROM core.attachment WHERE connection_id = ?",
        [connection_id],
    ).fetchone()
    return int(found[0]) if found else 0


def states(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """How many rows each connection has in each state."""
    counted: dict[str, dict[str, int]] = {}
    for connection_id, state, rows in connection.execute(
        "SELECT connection_id, state, count(*) FROM core.attachment GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        counted.setdefault(connection_id, {})[state] = rows
    return counted


def newest_revision(connection: duckdb.DuckDBPyConnection) -> int:
    """Up to which of the ledger's revisions `ops.attachment` is told of."""
    found = connection.execute("SELECT coalesce(max(revision), 0) FROM ops.attachment").fetchone()
    return int(found[0]) if found else 0


def replace_told(connection: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Say of attachments what came of them."""
    ids = [row["attachment_id"] for row in rows]
    connection.execute(
        "DELETE FROM ops.attachment WHERE attachment_id IN (SELECT unnest(?::VARCHAR[]))", [ids]
    )
    insert_many(connection, "ops.attachment", rows)
