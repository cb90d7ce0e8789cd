"""Readers see a whole copy or the one before it."""

import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from ecw_pipeline.errors import MachineError, TemporaryError
from ecw_pipeline.warehouse.database import read_published, transaction, working_warehouse
from ecw_pipeline.warehouse.publish import publish
from ecw_pipeline_tests.builders import mode_of, names_below, no_room_for_files, unwritable
from ecw_pipeline_tests.soak import tries
from ecw_pipeline_tests.warehouse.versions import Books, Brought, ann, books, day

READERS = 4
PUBLISHES = tries(50, in_soak=500)
PATIENTS = ("ann", "bob", "cyd")
# Opens the published file each time it is told to; each export changes all patients.
READER = f"""
import duckdb, sys
patients = {len(PATIENTS)}
for _ in sys.stdin:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        exports, names, export_id = connection.execute(
            "SELECT count(DISTINCT c.export_id), count(*), max(n.export_id)"
            " FROM core.patient AS c JOIN core.patient_name AS n USING (patient_id, export_id)"
            " JOIN ops.load AS l USING (export_id)"
        ).fetchone()
        loads, newest = connection.execute(
            "SELECT count(*), max(export_id) FROM ops.load"
        ).fetchone()
        closed, before = connection.execute(
            "SELECT count(*), count(*) FILTER (l.export_id = (SELECT max(export_id) FROM ops.load))"
            " FROM history.patient AS h JOIN history.patient_name USING (patient_id, export_id)"
            " JOIN ops.load AS l ON l.transaction_time = h.valid_to"
        ).fetchone()
        now = connection.execute("SELECT count(*) FROM as_of('patient', now())").fetchone()
    assert (exports, names, export_id) == (1, patients, newest), (exports, names, export_id, newest)
    assert closed == patients * (loads - 1), (closed, loads)
    assert before == (patients if loads > 1 else 0), (before, loads)
    assert now == (patients,), now
    print(loads, flush=True)
"""


@pytest.fixture
def working(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "warehouse.duckdb"
    _fill(path, 0)
    return path


def _fill(working: Path, number: int) -> None:
    """Let both tables hold a number, many times, in one transaction."""
    with working_warehouse(working) as connection, transaction(connection):
        for table in ("core.a", "core.b"):
            connection.execute(
                f"CREATE OR REPLACE TABLE {table} AS SELECT {number} AS n FROM range(20_000)"
            )


def _published_number(published: Path) -> int:
    with read_published(published) as connection:
        row = connection.execute("SELECT max(n) FROM core.a").fetchone()
    assert row is not None
    return int(row[0])


def _load(working: Path, number: int, flats: dict[str, dict[str, Path]]) -> None:
    """Load an export with a new version of every patient."""
    lines = tuple(ann(f"version {number}", None, "Ann", name=name) for name in PATIENTS)
    export = Brought(f"export {number:03d}", day(1) + timedelta(hours=number), lines)
    with working_warehouse(working) as connection:
        Books(connection, working.parent / "exports", flats).load(export)


@pytest.mark.soak
def test_readers_never_fail_nor_see_half_while_we_publish(tmp_path: Path) -> None:
    published, working = tmp_path / "warehouse.duckdb", tmp_path / "working.duckdb"
    with books(tmp_path) as empty:
        flats = empty.flats
    _load(working, 1, flats)
    publish(working, published)
    readers = [_reader(published) for _ in range(READERS)]
    for number in range(2, PUBLISHES + 1):
        for reader in readers:
            _tell(reader)
        _load(working, number, flats)
        publish(working, published)
    endings = [reader.communicate("again\n", timeout=60) for reader in readers]

    assert [reader.returncode for reader in readers] == [0] * READERS, [e for _, e in endings]
    for out, _ in endings:
        seen = [int(line) for line in out.split()]
        assert len(seen) == PUBLISHES
        assert seen == sorted(seen)
        assert seen[-1] == PUBLISHES


def _reader(published: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", READER, str(published)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _tell(reader: subprocess.Popen[str]) -> None:
    """Let it read once more; it says what it saw in the end."""
    assert reader.stdin is not None
    reader.stdin.write("again\n")
    reader.stdin.flush()


def test_a_reader_keeps_what_it_opened(working: Path, tmp_path: Path) -> None:
    published = tmp_path / "warehouse.duckdb"
    publish(working, published)
    with closing(read_published(published)) as reader:
        _fill(working, 1)
        publish(working, published)

        assert reader.execute("SELECT max(n) FROM core.b").fetchall() == [(0,)]
    assert _published_number(published) == 1


def test_a_published_file_has_what_was_committed_before_a_kill(
    working: Path, tmp_path: Path
) -> None:
    """It lies in a log beside the working file, which a plain copy would not take along."""
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]);"
        "c.execute('UPDATE core.a SET n = 5'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(working)], check=True)
    assert working.with_name(working.name + ".wal").exists()

    publish(working, tmp_path / "warehouse.duckdb")

    assert _published_number(tmp_path / "warehouse.duckdb") == 5


def test_a_published_file_is_for_its_owner_only(working: Path, tmp_path: Path) -> None:
    publish(working, tmp_path / "warehouse.duckdb")

    assert mode_of(tmp_path / "warehouse.duckdb") == 0o600


def test_a_full_disk_leaves_the_old_copy(working: Path, tmp_path: Path) -> None:
    published = tmp_path / "published" / "warehouse.duckdb"
    publish(working, published)
    with working_warehouse(working) as connection:
        connection.execute("CHECKPOINT")

    with no_room_for_files(), pytest.raises(MachineError):
        publish(working, published)

    assert _published_number(published) == 0
    assert names_below(published.parent) == ["warehouse.duckdb"]


def test_a_folder_that_cannot_be_written_leaves_the_old_copy(working: Path, tmp_path: Path) -> None:
    published = tmp_path / "published" / "warehouse.duckdb"
    publish(working, published)
    _fill(working, 1)

    with unwritable(published.parent), pytest.raises(MachineError, match="cannot be written"):
        publish(working, published)

    assert _published_number(published) == 0
    assert names_below(published.parent) == ["warehouse.duckdb"]


def test_a_working_warehouse_held_by_another_program_is_a_passing_failure(
    working: Path, tmp_path: Path
) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(working)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"

        with pytest.raises(TemporaryError, match="another program holds"):
            publish(working, tmp_path / "warehouse.duckdb")
    finally:
        other.communicate("\n", timeout=10)

    assert not (tmp_path / "warehouse.duckdb").exists()


def _rows_stored(path: Path) -> int:
    """The rows of a table that take room in a file, deleted or not."""
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        row = connection.execute(
            "SELECT estimated_size FROM duckdb_tables() WHERE table_name = 'wide'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _publish_after_deleting(working: Path, published: Path, condition: str) -> int:
    """Publish a table of half a million rows without some of them; the rows that take room."""
    with working_warehouse(working) as connection:
        connection.execute("CREATE TABLE core.wide AS SELECT i FROM range(500_000) AS r(i)")
    with working_warehouse(working) as connection:
        connection.execute(f"DELETE FROM core.wide WHERE {condition}")
    publish(working, published)
    return _rows_stored(published)


def test_a_few_deleted_rows_keep_their_room(working: Path, tmp_path: Path) -> None:
    """To move all others together costs more than they do.

    Half of the second and of the third row group are deleted, so that DuckDB would make them one.
    """
    half, row_group = 61_440, 122_880
    deleted = f"i // {row_group} IN (1, 2) AND i % {row_group} < {half}"

    stored = _publish_after_deleting(working, tmp_path / "published.duckdb", deleted)

    assert stored == 500_000


def test_many_deleted_rows_give_their_room_back(working: Path, tmp_path: Path) -> None:
    published = tmp_path / "published.duckdb"

    stored = _publish_after_deleting(working, published, "i % 3 > 0")

    assert stored < 300_000
    with read_published(published) as connection:
        found = connection.execute("SELECT count(*), min(i), max(i) FROM core.wide").fetchone()
    assert found == (166_667, 0, 499_998)


def test_rows_are_moved_together_after_a_kill_while_they_were(
    working: Path, tmp_path: Path
) -> None:
    with working_warehouse(working) as connection:
        connection.execute("CREATE TABLE ops.written (n INTEGER)")  # left by the kill

    stored = _publish_after_deleting(working, tmp_path / "published.duckdb", "i % 3 > 0")

    assert stored < 300_000
