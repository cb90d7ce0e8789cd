"""One writer at a time; a transaction is all or nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from ecw_pipeline.errors import BadDataError, MachineError, TemporaryError
from ecw_pipeline.warehouse.database import read_published, transaction, working_warehouse
from ecw_pipeline_tests.builders import mode_of, no_room_for_files, unwritable

HOLDER = """
import sys
from pathlib import Path
from ecw_pipeline.warehouse.database import working_warehouse
with working_warehouse(Path(sys.argv[1])) as connection:
    print("open", flush=True)
    input()
    connection.execute("CREATE TABLE core.of_the_other AS SELECT 1 AS n")
"""


def test_a_working_warehouse_and_its_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "warehouse.duckdb"

    with working_warehouse(path):
        pass

    assert mode_of(path) == 0o600
    assert mode_of(path.parent) == 0o700
    assert mode_of(path.with_suffix(".lock")) == 0o600


def test_instants_are_read_as_utc(tmp_path: Path) -> None:
    with working_warehouse(tmp_path / "w.duckdb") as connection:
        connection.execute(
            "CREATE TABLE core.t AS SELECT '2024-01-01T12:00:00Z'::TIMESTAMPTZ AS seen_at"
        )

    with read_published(tmp_path / "w.duckdb") as connection:
        rows = connection.execute("SELECT seen_at::VARCHAR FROM core.t").fetchall()

    assert rows == [("2024-01-01 12:00:00+00",)]


def test_the_published_warehouse_cannot_be_written(tmp_path: Path) -> None:
    with working_warehouse(tmp_path / "w.duckdb"):
        pass

    with (
        read_published(tmp_path / "w.duckdb") as connection,
        pytest.raises(Exception, match="read-only"),
    ):
        connection.execute("CREATE TABLE core.t (n INT)")


def test_a_second_process_of_ours_waits_for_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    other = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "open\n"
    other.stdin.write("\n")
    other.stdin.flush()

    with working_warehouse(path) as connection:
        rows = connection.execute("FROM core.of_the_other").fetchall()

    other.communicate(timeout=10)
    assert rows == [(1,)]


@pytest.mark.parametrize("older", ["UPDATE ops.layout SET layout = 1", "DROP SCHEMA ops CASCADE"])
def test_a_warehouse_of_an_older_layout_is_made_anew(tmp_path: Path, older: str) -> None:
    path = tmp_path / "w.duckdb"
    with working_warehouse(path) as connection:
        connection.execute("CREATE TABLE core.of_old AS SELECT 1 AS n")
        connection.execute(older)

    with working_warehouse(path) as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()")
        names = set(tables.fetchall())

    assert ("core", "of_old") not in names
    assert ("ops", "resource_span") in names


def test_a_program_from_outside_is_named_as_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"

        with pytest.raises(TemporaryError, match="another program holds"), working_warehouse(path):
            pass
    finally:
        other.communicate("\n", timeout=10)


def test_a_file_that_is_no_warehouse_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_bytes(b"not a database" * 1000)

    with pytest.raises(MachineError, match="cannot be opened as a warehouse"):  # noqa: SIM117
        with working_warehouse(path):
            pass


def test_a_folder_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()

    with unwritable(folder), pytest.raises(MachineError):  # noqa: SIM117
        with working_warehouse(folder / "w.duckdb"):
            pass


def test_a_full_disk_is_said_to_be_so_and_nothing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with working_warehouse(path) as connection:
        connection.execute("CREATE TABLE core.t (n INT)")

    with (
        pytest.raises(MachineError, match="disk full"),
        working_warehouse(path) as connection,
        no_room_for_files(),
        transaction(connection),
    ):
        connection.execute("INSERT INTO core.t SELECT i FROM range(1_000_000) r(i)")

    with working_warehouse(path) as connection:
        assert connection.execute("FROM core.t").fetchall() == []


def test_an_error_undoes_the_whole_transaction(tmp_path: Path) -> None:
    def fail() -> None:
        raise BadDataError("in the middle")

    with working_warehouse(tmp_path / "w.duckdb") as connection:
        connection.execute("CREATE TABLE core.t (n INT)")
        with pytest.raises(BadDataError), transaction(connection):  # noqa: PT012
            connection.execute("INSERT INTO core.t VALUES (1)")
            fail()

        assert connection.execute("FROM core.t").fetchall() == []


def test_an_interruption_undoes_the_whole_transaction(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with working_warehouse(tmp_path / "w.duckdb") as connection:
        with pytest.raises(KeyboardInterrupt), transaction(connection):  # noqa: PT012
            connection.execute("CREATE TABLE core.t (n INT)")
            interrupt()

        found = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE schema_name='core'")
        assert found.fetchall() == [(0,)]
