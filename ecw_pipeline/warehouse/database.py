"""The private working warehouse: opened by one process at a time, with its own bookkeeping."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from ecw_pipeline.errors import EcwError, MachineError, TemporaryError
from ecw_pipeline.files import (
    PRIVATE_FILE_MODE,
    machine_errors,
    part_path,
    private_folder,
    rename_whole,
)

# What DuckDB raises when the disk is full: as it writes, as it commits, and ever after.
STORAGE_ERRORS = (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException)

# These speak of the query's own text; any other error may quote a value of the data.
_OF_THE_TEXT = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)

# Marts would shift with the machine's zone; DuckDB's own progress bar would run into our output.
SESSION = "SET TimeZone = 'UTC'; SET enable_progress_bar = false"
# Most memory would hold blocks of tables that are read once. Beyond this DuckDB writes to disk.
# A small load waits in the log for the checkpoint that comes with each publish; a large one would
# be written twice that way.
# At each checkpoint DuckDB would move all rows of a table together where a hundredth was deleted:
# `publish` lets it, where it is worth it.
_WORKING_SESSION = f"{SESSION}; SET memory_limit = '900MB'; SET max_vacuum_tasks = 0"
# Raised when the tables below change: an older working warehouse is then made anew from landing.
LAYOUT = 6

_OPS = f"""
CREATE SCHEMA core;
CREATE SCHEMA history;
CREATE SCHEMA marts;
CREATE SCHEMA ops;
CREATE TABLE ops.layout AS SELECT {LAYOUT} AS layout;
COMMENT ON TABLE ops.layout IS 'Which make of warehouse this is';
CREATE TABLE ops.resource_version (
    resource_key UHUGEINT, connection_id VARCHAR, resource_type VARCHAR, resource_id VARCHAR,
    version_at TIMESTAMPTZ, transaction_time TIMESTAMPTZ, content_hash UUID,
    is_subsetted BOOLEAN, is_deleted BOOLEAN,
    export_id VARCHAR, source_file VARCHAR, source_line BIGINT);
COMMENT ON TABLE ops.resource_version IS
    'Every received version of every resource; core and history are a fold over it';
CREATE TABLE ops.resource_span (
    resource_key UHUGEINT, connection_id VARCHAR, resource_type VARCHAR,
    transaction_time TIMESTAMPTZ, content_hash UUID,
    export_id VARCHAR, source_file VARCHAR, source_line BIGINT,
    valid_from TIMESTAMPTZ, valid_to TIMESTAMPTZ, closed_by VARCHAR);
COMMENT ON TABLE ops.resource_span IS
    'From when to when each version was the current one; no valid_to: it still is';
CREATE TABLE ops.table_state (
    table_name VARCHAR, fingerprint VARCHAR, is_stale BOOLEAN, reason VARCHAR);
COMMENT ON TABLE ops.table_state IS
    'Which view each core table was built from, and whether it is behind';
CREATE TABLE ops.mart (
    mart_name VARCHAR, connection_id VARCHAR, complete_up_to TIMESTAMPTZ, limited_by VARCHAR);
COMMENT ON TABLE ops.mart IS
    'Up to which instant every type that a mart reads is loaded, and which type sets it';
CREATE TABLE ops.load (
    export_id VARCHAR, connection_id VARCHAR, resource_type VARCHAR, transaction_time TIMESTAMPTZ,
    export_scope VARCHAR, is_restricted BOOLEAN DEFAULT false, proves_absence BOOLEAN,
    newest_at TIMESTAMPTZ,
    lines_received BIGINT, lines_landed BIGINT, lines_quarantined BIGINT, lines_superseded BIGINT,
    manifest_count BIGINT, lines_sampled BIGINT, lines_invalid BIGINT,
    resources_changed BIGINT, resources_deleted BIGINT,
    loaded_at TIMESTAMPTZ, load_seconds DOUBLE);
COMMENT ON TABLE ops.load IS 'One row per export and resource type that was loaded';
CREATE TABLE ops.export (
    export_id VARCHAR, connection_id VARCHAR, level VARCHAR, since TIMESTAMPTZ,
    restriction VARCHAR, transaction_time TIMESTAMPTZ, state VARCHAR, requested_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ, error VARCHAR);
COMMENT ON TABLE ops.export IS 'Every export that was asked for';
CREATE TABLE ops.file (
    export_id VARCHAR, kind VARCHAR, resource_type VARCHAR, source_file VARCHAR, sha256 VARCHAR,
    size_bytes BIGINT, manifest_count BIGINT, lines_received BIGINT, lines_landed BIGINT,
    lines_quarantined BIGINT);
COMMENT ON TABLE ops.file IS 'Every file that was received';
CREATE TABLE ops.quarantine (
    export_id VARCHAR, resource_type VARCHAR, source_file VARCHAR, source_line BIGINT,
    resource_id VARCHAR, reason VARCHAR, detail VARCHAR);
COMMENT ON TABLE ops.quarantine IS
    'Every refused line, by place and reason; its text is in the landing folder';
CREATE TABLE ops.element_profile (
    export_id VARCHAR, connection_id VARCHAR, resource_type VARCHAR,
    path VARCHAR, json_type VARCHAR, lines_with BIGINT);
COMMENT ON TABLE ops.element_profile IS
    'Which elements the sampled lines of each export and type have, of which JSON type';
CREATE TABLE ops.validation (
    export_id VARCHAR, connection_id VARCHAR, resource_type VARCHAR,
    path VARCHAR, rule VARCHAR, findings BIGINT, source_file VARCHAR, source_line BIGINT);
COMMENT ON TABLE ops.validation IS
    'Which rules of FHIR the sampled lines of each export and type break, and where first';
CREATE TABLE ops.attachment (
    attachment_id VARCHAR, connection_id VARCHAR, state VARCHAR, error VARCHAR, sha256 VARCHAR,
    size_bytes BIGINT, content_type VARCHAR, text VARCHAR, settled_at TIMESTAMPTZ,
    revision BIGINT);
COMMENT ON TABLE ops.attachment IS
    'What came of each attachment; core.attachment joins it to its resources';
CREATE MACRO as_of(table_name, instant) AS TABLE
    SELECT h.* EXCLUDE (valid_from, valid_to, closed_by)
    FROM query_table('history."' || table_name || '"') AS h
    WHERE h.valid_from <= instant AND h.valid_to > instant
    UNION ALL BY NAME
    SELECT c.* FROM query_table('core."' || table_name || '"') AS c
    SEMI JOIN (FROM ops.resource_span WHERE valid_to IS NULL AND valid_from <= instant) AS s
        USING (export_id, source_file, source_line);
"""


@contextmanager
def working_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the working warehouse for writing; waits while another process has it.

    One of an older layout is thrown away: the next load fills the new one from landing.

    Raises:
        MachineError: the file cannot be written, or the disk is full.
        TemporaryError: a program outside the pipeline holds the file open.
    """
    with _locked(path):
        if not path.exists():
            _create(path)
        connection = _connect(path)
        if _layout_of(connection) != LAYOUT:
            connection.close()
            _create(path)
            connection = _connect(path)
        try:
            connection.execute(_WORKING_SESSION)
            path.chmod(PRIVATE_FILE_MODE)
            yield connection
        except STORAGE_ERRORS as error:
            raise MachineError(
                f"{path} could not be written (is the disk full?)",
                "free some space and run again: what was not committed is done anew",
            ) from error
        finally:
            connection.close()


def empty_warehouse(path: Path) -> None:
    """Put an empty warehouse in the place of the working one, whatever that is; waits for its user.

    Raises:
        MachineError: the file cannot be written, or the disk is full.
    """
    with _locked(path):
        _create(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Have the working warehouse to oneself."""
    private_folder(path.parent)
    with (
        machine_errors(path),
        path.with_suffix(".lock").open("a", encoding="utf-8") as lock,
    ):
        path.with_suffix(".lock").chmod(PRIVATE_FILE_MODE)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create(path: Path) -> None:
    """Make an empty warehouse that is whole when it has its name: a kill in between leaves none."""
    unfinished = part_path(path)
    for name in (unfinished.name, f"{unfinished.name}.wal", f"{path.name}.wal"):
        path.with_name(name).unlink(missing_ok=True)
    with _connect(unfinished) as connection:
        connection.execute(_OPS)
    unfinished.chmod(PRIVATE_FILE_MODE)
    rename_whole(unfinished, path)


def _layout_of(connection: duckdb.DuckDBPyConnection) -> int:
    """Which make of warehouse a file is; 0 where it does not say."""
    try:
        found = connection.execute("SELECT layout FROM ops.layout").fetchone()
    except duckdb.CatalogException:
        return 0
    return int(found[0]) if found else 0


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    with _opening_errors(path, "close it there; open data/warehouse.duckdb instead, read-only"):
        return duckdb.connect(str(path))


@contextmanager
def _opening_errors(path: Path, how_to_free: str) -> Iterator[None]:
    """Say in words why a warehouse cannot be opened, and by whom it is held."""
    try:
        yield
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise TemporaryError(f"another program holds {path} open", how_to_free) from error
        raise MachineError(
            f"{path} cannot be opened as a warehouse",
            "check space and permissions; the file can be deleted: the next load makes it anew",
        ) from error


def engine_error(error: duckdb.Error) -> EcwError:
    """DuckDB's error without its text, which may quote values of patients."""
    return EcwError(
        f"the warehouse engine failed ({type(error).__name__})",
        "run the command again as `ecw --debug …` to see more, on a terminal that only you see",
    )


def words_about_query(error: duckdb.Error) -> str:
    """What is wrong with a query, without any value of the data."""
    is_read_only = "read-only" in str(error) or "Cannot execute statement" in str(error)
    if isinstance(error, _OF_THE_TEXT) or is_read_only:
        return str(error)
    return f"{type(error).__name__} on the data"


def read_published(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the published warehouse for reading; a query cannot reach other files through it.

    Raises:
        MachineError: the file is damaged, or may not be read.
        TemporaryError: a program holds the file open for writing.
    """
    with _opening_errors(path, "close it there, or open it read-only there"):
        connection = duckdb.connect(
            str(path), read_only=True, config={"enable_external_access": "false"}
        )
    connection.execute(SESSION)
    return connection


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed has rolled back already
            connection.rollback()
        raise
