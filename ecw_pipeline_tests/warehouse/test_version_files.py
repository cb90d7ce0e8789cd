"""Version files: made from screened files, made anew when those are, and disposable."""

import json
from pathlib import Path

import duckdb
import pytest

from ecw_pipeline.files import PRIVATE_FILE_MODE
from ecw_pipeline.warehouse.version_files import version_file


def screened(folder: Path, *ids: str, **elements: object) -> Path:
    path = folder / "00000.ndjson"
    lines = [
        {"ecw_line": number, "ecw_hash": f"{number:032x}", "id": one, **elements}
        for number, one in enumerate(ids, start=1)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def ids_in(path: Path) -> list[str]:
    found = duckdb.execute("SELECT resource_id FROM read_parquet(?)", [str(path)]).fetchall()
    return [one for (one,) in found]


def test_it_is_made_from_the_screened_file_and_is_private(tmp_path: Path) -> None:
    made = version_file(screened(tmp_path, "ann", "bob"))

    assert ids_in(made) == ["ann", "bob"]
    assert made.stat().st_mode & 0o777 == PRIVATE_FILE_MODE


def test_it_is_used_again_while_the_screened_file_is_the_same(tmp_path: Path) -> None:
    source = screened(tmp_path, "ann")
    made_at = version_file(source).stat().st_mtime_ns

    assert version_file(source).stat().st_mtime_ns == made_at


def test_a_line_that_went_to_quarantine_since_is_no_longer_in_it(tmp_path: Path) -> None:
    version_file(screened(tmp_path, "ann", "bob"))

    assert ids_in(version_file(screened(tmp_path, "ann"))) == ["ann"]


@pytest.mark.parametrize("damage", [b"", b"PAR1"])
def test_a_damaged_one_is_made_again(tmp_path: Path, damage: bytes) -> None:
    source = screened(tmp_path, "ann")
    version_file(source).write_bytes(damage)

    assert ids_in(version_file(source)) == ["ann"]


def test_a_line_with_a_whole_document_in_it_is_read(tmp_path: Path) -> None:
    source = screened(tmp_path, "ann", data="x" * (17 << 20))

    assert ids_in(version_file(source)) == ["ann"]


def test_a_line_that_cannot_be_read_leaves_no_file(tmp_path: Path) -> None:
    source = screened(tmp_path, "ann", meta="not an object")

    with pytest.raises(duckdb.Error):
        version_file(source)

    assert list(tmp_path.iterdir()) == [source]
