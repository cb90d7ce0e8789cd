"""Readers see a whole copy or the one before it."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ecw_pipeline.errors import MachineError, TemporaryError
from ecw_pipeline.warehouse.database import read_published, transaction, working_warehouse
from ecw_pipeline.warehouse.publish import publish
from ecw_pipeline_tests.builders import mode_of, names_below, no_room_for_files, unwritable

PUBLISHES = 8
# Opens the published file as often as it can and says so when two tables disagree, until told.
READER = """
import duckdb, pathlib, sys
published, stop = sys.argv[1], pathlib.Path(sys.argv[2])
seen = set()
while not stop.exists():
    with duckdb.connect(published, read_only=True) as connection:
        rows = connection.execute(
            "SELECT (SELECT max(n) FROM core.a), (SELECT max(n) FROM core.b),"
            " (SELECT count(DISTINCT n) FROM core.a)"
        ).fetchall()
    assert rows[0][0] == rows[0][1] and rows[0][2] == 1, rows
    seen.add(rows[0][0])
    print(rows[0][0], flush=True)
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


def test_readers_never_fail_nor_see_half_while_we_publish(working: Path, tmp_path: Path) -> None:
    published, stop = tmp_path / "warehouse.duckdb", tmp_path / "stop"
    publish(working, published)
    command = [sys.executable, "-W", "error", "-c", READER, str(published), str(stop)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "0\n"
    for number in range(1, PUBLISHES + 1):
        _fill(working, number)
        publish(working, published)
    stop.touch()
    endings = [reader.communicate(timeout=30) for reader in readers]

    assert [reader.returncode for reader in readers] == [0, 0], [e for _, e in endings]
    assert all(len(set(out.split())) > 2 for out, _ in endings)
    assert _published_number(published) == PUBLISHES


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
