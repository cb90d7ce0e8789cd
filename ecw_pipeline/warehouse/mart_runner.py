"""Builds marts: each a query over the tables of `core`, kept as a table of `marts`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import duckdb

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.warehouse.database import STORAGE_ERRORS, words_about_query
from ecw_pipeline.warehouse.schema import WarehouseColumn


def build_mart(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    question: str,
    sql: str,
    meanings: Mapping[str, str] | None = None,
) -> int:
    """Replace one mart by its query's rows now; returns how many.

    ``meanings`` are of columns, by name; of a column that is not there none is kept.

    Raises:
        UnsupportedViewError: the query cannot run; the message says why without any value.
    """
    table = f"marts.{identifier(name)}"
    query = sql.strip().removesuffix(";")
    try:
        connection.execute(f"CREATE OR REPLACE TABLE {table} AS\n{query}")
    except STORAGE_ERRORS:
        raise
    except duckdb.Error as error:
        reason = words_about_query(error).splitlines()[0]
        raise UnsupportedViewError(
            f"marts/{name}.sql cannot run: {reason}",
            "mend it, or the view of the table it reads; other marts are unaffected",
        ) from None
    # DuckDB's own list of columns takes longer than most marts do.
    columns = [name for name, *_ in connection.execute(f"FROM {table} LIMIT 0").description or ()]
    known = (meanings or {}).items()
    comments = [(f"COLUMN {table}.{identifier(c)}", text) for c, text in known if c in columns]
    for place, text in [(f"TABLE {table}", question), *comments]:
        connection.execute(f"COMMENT ON {place} IS {literal(text)}")
    counted = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(counted[0]) if counted else 0


def write_rules(
    connection: duckdb.DuckDBPyConnection, rules: Iterable[tuple[str, str, str]]
) -> None:
    """Define the macros that marts share, each by name, statement and meaning."""
    for name, sql, meaning in rules:
        connection.execute(sql)
        connection.execute(f"COMMENT ON MACRO {identifier(name)} IS {literal(meaning)}")


def write_code_lists(
    connection: duckdb.DuckDBPyConnection, codes: Sequence[tuple[str, ...]]
) -> None:
    """Keep what marts ask the codes of: list, code system, code, meaning."""
    connection.execute(
        "CREATE OR REPLACE TABLE ops.code_list"
        " (list VARCHAR, system VARCHAR, code VARCHAR, meaning VARCHAR)"
    )
    connection.executemany("INSERT INTO ops.code_list VALUES (?, ?, ?, ?)", codes)
    connection.execute(
        "COMMENT ON TABLE ops.code_list IS 'Which codes mean what a mart asks for; ECW_CODES adds'"
    )


def note_completeness(
    connection: duckdb.DuckDBPyConnection, name: str, resource_types: Collection[str]
) -> None:
    """Say up to which instant all types that a mart reads are loaded, for each connection.

    A type that a connection never brought says nothing: it may have none.
    """
    connection.execute("DELETE FROM ops.mart WHERE mart_name = ?", [name])
    connection.execute(
        """
        INSERT INTO ops.mart
        SELECT $name, connection_id, min(loaded_to), arg_min(resource_type, loaded_to)
        FROM (SELECT connection_id, resource_type, max(transaction_time) AS loaded_to
              FROM ops.load WHERE NOT is_restricted AND list_contains($types, resource_type)
              GROUP BY ALL ORDER BY ALL)
        GROUP BY connection_id
        """,
        {"name": name, "types": sorted(resource_types)},
    )


def complete_up_to(connection: duckdb.DuckDBPyConnection, name: str) -> datetime | None:
    """The instant up to which a mart's inputs are loaded for every connection."""
    query = "SELECT min(complete_up_to) FROM ops.mart WHERE mart_name = ?"
    found = connection.execute(query, [name]).fetchone()
    return found[0] if found else None


def mart_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[WarehouseColumn]]:
    """The columns of each mart that was built, with their meanings."""
    rows = connection.execute(
        "SELECT table_name, column_name, data_type, coalesce(comment, '') FROM duckdb_columns()"
        " WHERE schema_name = 'marts' ORDER BY table_name, column_index"
    )
    found: dict[str, list[WarehouseColumn]] = {}
    for table, *column in rows.fetchall():
        found.setdefault(table, []).append(WarehouseColumn(*column))
    return found


def mart_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The marts that a warehouse has."""
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'")
    return {name for (name,) in rows.fetchall()}
