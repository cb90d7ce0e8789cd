"""A flat file is whole or absent, and says what it was made from."""

from pathlib import Path

import duckdb
import pytest

from ecw_pipeline.errors import MachineError
from ecw_pipeline.warehouse.parquet import stamp_of, write_parquet
from ecw_pipeline_tests.builders import mode_of, names_below, no_room_for_files, unwritable

FAILS_LATE = (
    "SELECT CASE WHEN i < 400_000 THEN i ELSE error('late') END AS n FROM range(500_000) r(i)"
)


def _write(select: str, path: Path, stamp: str = "v1") -> int:
    with duckdb.connect() as connection:
        return write_parquet(connection, select, path, stamp)


def _rows(path: Path) -> list[tuple[int]]:
    with duckdb.connect() as connection:
        return connection.execute("SELECT n FROM read_parquet(?)", [str(path)]).fetchall()


def test_a_flat_file_holds_its_rows_and_its_stamp(tmp_path: Path) -> None:
    path = tmp_path / "flat" / "t" / "x.parquet"

    assert _write("SELECT unnest([1, 2]) AS n", path, "it's v1") == 2

    assert _rows(path) == [(1,), (2,)]
    assert stamp_of(path) == "it's v1"


def test_a_flat_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "flat" / "x.parquet"

    _write("SELECT 1 AS n", path)

    assert (mode_of(path), mode_of(path.parent)) == (0o600, 0o700)


def test_a_query_that_fails_late_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(duckdb.Error, match="late"):
        _write(FAILS_LATE, tmp_path / "x.parquet")

    assert names_below(tmp_path) == []


def test_a_query_that_fails_late_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    _write("SELECT 1 AS n", path)

    with pytest.raises(duckdb.Error, match="late"):
        _write(FAILS_LATE, path, "v2")

    assert (_rows(path), stamp_of(path)) == ([(1,)], "v1")
    assert names_below(tmp_path) == ["x.parquet"]


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    _write("SELECT 1 AS n", path)

    with no_room_for_files(), pytest.raises(MachineError):
        _write("SELECT 2 AS n", path, "v2")

    assert (_rows(path), stamp_of(path)) == ([(1,)], "v1")
    assert names_below(tmp_path) == ["x.parquet"]


def test_a_folder_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()

    with unwritable(folder), pytest.raises(MachineError):
        _write("SELECT 1 AS n", folder / "x.parquet")

    assert names_below(folder) == []


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all" * 100])
def test_a_damaged_file_has_no_stamp(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)

    assert stamp_of(tmp_path / "x.parquet") is None


def test_an_absent_file_has_no_stamp(tmp_path: Path) -> None:
    assert stamp_of(tmp_path / "x.parquet") is None


def test_parquet_of_somebody_else_has_no_stamp(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS n) TO '{tmp_path}/x.parquet' (FORMAT parquet)")

    assert stamp_of(tmp_path / "x.parquet") is None
