"""Files by their content: whole or absent, for their owner only."""

import hashlib
from pathlib import Path

import pytest

from ecw_pipeline.attachments.store import Store
from ecw_pipeline.errors import MachineError
from ecw_pipeline_tests.builders import mode_of, names_below, no_room_for_files, unwritable

CONTENT = b"seen again"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def _put(store: Store, name: str = "one") -> str:
    with store.arriving(name) as file:
        file.take(CONTENT[:4])
        file.take(CONTENT[4:])
        return file.keep()


def test_a_file_is_named_by_its_content(tmp_path: Path) -> None:
    store = Store(tmp_path / "attachments")

    assert _put(store) == _put(store, "two") == SHA256
    assert names_below(tmp_path) == [
        "attachments",
        f"attachments/{SHA256[:2]}",
        f"attachments/{SHA256[:2]}/{SHA256}",
    ]
    assert store.path(SHA256).read_bytes() == CONTENT
    assert mode_of(store.path(SHA256)) == 0o600


def test_what_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "attachments")
    with store.arriving("one") as file:
        file.take(CONTENT)
        assert (file.sha1, file.size_bytes) == (hashlib.sha1(CONTENT).digest(), len(CONTENT))
        assert file.read() == CONTENT

    assert names_below(tmp_path) == ["attachments"]
    assert not store.has(SHA256)


def test_what_a_kill_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "one.part").write_bytes(b"x" * 100)

    assert _put(Store(tmp_path)) == SHA256
    assert names_below(tmp_path) == [SHA256[:2], f"{SHA256[:2]}/{SHA256}"]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with no_room_for_files(), pytest.raises(MachineError):
        _put(Store(tmp_path))

    assert names_below(tmp_path) == []


def test_a_folder_that_is_not_writable_is_said(tmp_path: Path) -> None:
    with unwritable(tmp_path), pytest.raises(MachineError, match="make the folder writable"):
        _put(Store(tmp_path))
