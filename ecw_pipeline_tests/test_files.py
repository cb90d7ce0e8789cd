"""Files are whole or absent, and readable by their owner only."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecw_pipeline.errors import BadDataError, MachineError
from ecw_pipeline.files import (
    finished_file,
    private_folder,
    read_json,
    sha256_of,
    write_json,
)
from ecw_pipeline_tests.builders import mode_of, names_below, no_room_for_files, unwritable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def write_half(path: Path, kind: type[BaseException]) -> None:
    """Stop with an exception when half of a file is written."""
    with finished_file(path) as stream:
        stream.write(b"half")
        raise kind


def test_a_finished_file_holds_what_was_written(tmp_path: Path) -> None:
    with finished_file(tmp_path / "rows") as stream:
        stream.write(b"one")

    assert (tmp_path / "rows").read_bytes() == b"one"


def test_a_file_has_no_name_before_it_is_whole(tmp_path: Path) -> None:
    with finished_file(tmp_path / "rows") as stream:
        stream.write(b"half")
        stream.flush()
        assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, OSError])
def test_an_exception_leaves_nothing_behind(tmp_path: Path, kind: type[BaseException]) -> None:
    with pytest.raises((kind, MachineError)):
        write_half(tmp_path / "rows", kind)

    assert names_below(tmp_path) == []


def test_an_exception_keeps_the_file_that_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"old")

    with pytest.raises(ValueError):  # noqa: PT011 - our own, without words
        write_half(tmp_path / "rows", ValueError)

    assert (tmp_path / "rows").read_bytes() == b"old"
    assert names_below(tmp_path) == ["rows"]


def test_what_a_killed_writer_left_is_not_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "rows.part").write_bytes(b"a long half of something else")

    with finished_file(tmp_path / "rows") as stream:
        stream.write(b"new")

    assert (tmp_path / "rows").read_bytes() == b"new"


def test_a_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_json(tmp_path / "a" / "b" / "rows", {})
    finally:
        os.umask(before)

    assert mode_of(tmp_path / "a" / "b" / "rows") == 0o600


def test_folders_are_made_private_up_to_the_one_that_was_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private_folder(tmp_path / "a" / "b")

    assert mode_of(tmp_path / "a") == 0o700
    assert mode_of(tmp_path / "a" / "b") == 0o700
    assert mode_of(tmp_path) == 0o755


def test_a_folder_that_is_a_file_is_a_machine_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")

    with pytest.raises(MachineError, match=f"{tmp_path / 'a'}"):
        private_folder(tmp_path / "a")


def test_a_full_disk_is_a_machine_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "rows.part").symlink_to("/dev/full")

    with pytest.raises(MachineError) as caught, finished_file(tmp_path / "rows") as stream:
        stream.write(b"one")

    assert caught.value.message == f"no space left on the disk while writing {tmp_path / 'rows'}"
    assert "run the same command again" in caught.value.next_step
    assert names_below(tmp_path) == []


def test_a_file_that_may_not_grow_is_a_machine_error(tmp_path: Path) -> None:
    with no_room_for_files(), pytest.raises(MachineError) as caught:
        write_json(tmp_path / "rows", {"a": 1})

    assert str(tmp_path / "rows") in caught.value.message
    assert names_below(tmp_path) == []


def test_a_read_only_folder_is_a_machine_error_that_says_what_to_do(tmp_path: Path) -> None:
    with unwritable(tmp_path), pytest.raises(MachineError) as caught:
        write_json(tmp_path / "rows", {})

    assert caught.value.message.startswith(f"{tmp_path}")
    assert "ECW_DATA" in caught.value.next_step


def test_a_read_only_parent_is_a_machine_error(tmp_path: Path) -> None:
    with unwritable(tmp_path), pytest.raises(MachineError, match="cannot be written"):
        private_folder(tmp_path / "new" / "folder")


@given(JSON)
def test_json_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)

    assert read_json(path) == value


def test_a_file_that_is_no_json_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"secret": 1,\n oops}')

    with pytest.raises(BadDataError) as caught:
        read_json(tmp_path / "a.json")

    assert f"{tmp_path / 'a.json'} is not JSON" in caught.value.message
    assert "line 2, column 2" in caught.value.message
    assert "secret" not in str(caught.value)


def test_a_json_file_that_is_not_utf8_is_bad_data(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'"\xff"')

    with pytest.raises(BadDataError, match="not UTF-8"):
        read_json(tmp_path / "a.json")


def test_sha256_is_of_the_bytes_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)

    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
