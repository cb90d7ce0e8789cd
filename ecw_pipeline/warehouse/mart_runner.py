"""Builds marts: each a query over the tables of `core`, kept as a table of `marts`."""

import duckdb

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.quoting import identifier, literal


def build_mart(connection: duckdb.DuckDBPyConnection, name: str, question: str, sql: str) -> int:
    """Replace one mart by its query's rows now; returns how many.

    Raises:
        UnsupportedViewError: the query cannot run; the message is DuckDB's first line.
    """
    table = f"marts.{identifier(name)}"
    query = sql.strip().removesuffix(";")
    try:
        connection.execute(f"CREATE OR REPLACE TABLE {table} AS\n{query}")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise UnsupportedViewError(
            f"marts/{name}.sql cannot run: {reason}", "mend the file; other marts are unaffected"
        ) from error
    connection.execute(f"COMMENT ON TABLE {table} IS {literal(question)}")
    counted = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(counted[0]) if counted else 0
