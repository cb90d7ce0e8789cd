"""Builds marts: each a query over the tables of `core`, kept as a table of `marts`."""

import duckdb

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.warehouse.database import STORAGE_ERRORS

# These speak of the query's own text; any other error may quote a value of the data.
_OF_THE_TEXT = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)


def build_mart(connection: duckdb.DuckDBPyConnection, name: str, question: str, sql: str) -> int:
    """Replace one mart by its query's rows now; returns how many.

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
        raise UnsupportedViewError(
            f"marts/{name}.sql cannot run: {_reason(error)}",
            "mend it, or the view of the table it reads; other marts are unaffected",
        ) from None
    connection.execute(f"COMMENT ON TABLE {table} IS {literal(question)}")
    counted = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(counted[0]) if counted else 0


def mart_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The marts that a warehouse has."""
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'")
    return {name for (name,) in rows.fetchall()}


def _reason(error: duckdb.Error) -> str:
    if isinstance(error, _OF_THE_TEXT):
        return str(error).splitlines()[0]
    return f"{type(error).__name__} on the data of core"
