"""Version files: what the load needs of a screened file, as Parquet beside it.

Landing writes one when it screens, so that a load parses no JSON again: an export mostly brings
what is known already, and of that nothing else is read. Disposable like the screened file itself.
"""

from pathlib import Path

import duckdb

from ecw_pipeline.quoting import literal
from ecw_pipeline.warehouse.parquet import stamp_of, write_parquet

# What every screened line must give, whatever its type.
VERSION_COLUMNS = {
    "id": "VARCHAR",
    "ecw_hash": "VARCHAR",
    "ecw_line": "BIGINT",
    "meta": "STRUCT(lastUpdated VARCHAR, tag STRUCT(system VARCHAR, code VARCHAR)[])",
}
# Twice as much memory is taken for each thread, so that few lines are asked for much.
_MOST_BYTES_OF_A_LINE = (16 << 20, 1 << 30)
# DuckDB reads `infinity`, too; nothing could ever follow it. A zone that one text names it takes
# for that of the texts without an offset after it.
_UPDATED_AT = (
    "try_cast(CASE WHEN NOT contains(substring(meta.lastUpdated, 12), ' ') THEN meta.lastUpdated"
    " END AS TIMESTAMPTZ)"
)
# A server says with this tag that it left elements out. Source: FHIR R4 Search, "Summary".
_SUBSETTED = (
    "{'system': 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', 'code': 'SUBSETTED'}"
)
_VERSIONS = f"""
SELECT id AS resource_id, CAST(ecw_hash AS UUID) AS content_hash, ecw_line AS source_line,
       CASE WHEN isfinite({_UPDATED_AT}) THEN {_UPDATED_AT} END AS updated_at,
       coalesce(list_contains(meta.tag, {_SUBSETTED}), false) AS is_subsetted
FROM """


def version_file(screened: Path) -> Path:
    """The version file of a screened file; made where there is none that was made from it.

    Raises:
        MachineError: the disk is full.
        duckdb.Error: a line cannot be read.
    """
    path = screened.with_suffix(".versions.parquet")
    stamp = _stamp(screened)
    if stamp_of(path) != stamp:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            _write(connection, screened, path, stamp)
    return path


def _write(connection: duckdb.DuckDBPyConnection, screened: Path, path: Path, stamp: str) -> None:
    usual, most = (_VERSIONS + _lines(screened, size) for size in _MOST_BYTES_OF_A_LINE)
    try:
        write_parquet(connection, usual, path, stamp)
    except duckdb.InvalidInputException:  # perhaps a line that carries a whole document
        write_parquet(connection, most, path, stamp)


def _lines(screened: Path, most_bytes: int) -> str:
    columns = ", ".join(f"{name}: {literal(kind)}" for name, kind in VERSION_COLUMNS.items())
    return (
        f"read_json({literal(str(screened))}, format = 'newline_delimited',"
        f" maximum_object_size = {most_bytes}, columns = {{{columns}}})"
    )


def _stamp(screened: Path) -> str:
    """Tells a screened file from one that was made anew in its place."""
    found = screened.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"
