"""Lines come with their numbers, whatever a file's packing."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecw_pipeline.errors import BadDataError, MachineError
from ecw_pipeline.landing.ndjson import ends_in_mid_line, numbered_lines

BOM = b"\xef\xbb\xbf"


def lines_of(folder: Path, content: bytes, name: str = "a.ndjson") -> list[tuple[int, bytes]]:
    (folder / name).write_bytes(content)
    return list(numbered_lines(folder / name))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"a\nb\n", [(1, b"a"), (2, b"b")]),
        (b"a\nb", [(1, b"a"), (2, b"b")]),
        (b"a\r\nb\r\n", [(1, b"a"), (2, b"b")]),
        (b"a\n\n \t\nb\n", [(1, b"a"), (4, b"b")]),
        (BOM + b"a\nb\n", [(1, b"a"), (2, b"b")]),
        (BOM, []),
        (b"a\n" + BOM + b"b\n", [(1, b"a"), (2, BOM + b"b")]),
        (b"a\xe2\x80\xa8b\n", [(1, b"a\xe2\x80\xa8b")]),
        (b"a\rb\n", [(1, b"a\rb")]),
    ],
)
def test_lines_are_split_at_line_feeds_and_keep_their_number(
    tmp_path: Path, content: bytes, lines: list[tuple[int, bytes]]
) -> None:
    assert lines_of(tmp_path, content) == lines


@given(st.binary())
def test_a_packed_file_has_the_lines_of_the_plain_one(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()

    packed = lines_of(folder, gzip.compress(content), "p.ndjson.gz")
    assert packed == lines_of(folder, content)


@pytest.mark.parametrize("kept", [1, 5, 12, 20, -9, -8, -4, -1])
def test_a_cut_gzip_stream_is_bad_data(tmp_path: Path, kept: int) -> None:
    whole = gzip.compress(b'{"resourceType":"Patient","id":"a"}\n' * 50)

    with pytest.raises(BadDataError, match=r"a\.ndjson\.gz is cut short or damaged"):
        lines_of(tmp_path, whole[:kept], "a.ndjson.gz")


def test_a_damaged_gzip_stream_is_bad_data(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(b'{"resourceType":"Patient","id":"a"}\n' * 50))
    whole[30] ^= 0xFF

    with pytest.raises(BadDataError):
        lines_of(tmp_path, bytes(whole), "a.ndjson.gz")


def test_two_gzip_streams_in_a_row_are_one_file(tmp_path: Path) -> None:
    content = gzip.compress(b"a\n") + gzip.compress(b"b\n")

    assert lines_of(tmp_path, content, "a.ndjson.gz") == [(1, b"a"), (2, b"b")]


@pytest.mark.parametrize("name", ["missing.ndjson", "missing.ndjson.gz"])
def test_a_file_that_is_gone_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(MachineError, match=name):
        list(numbered_lines(tmp_path / name))


@pytest.mark.parametrize(
    ("last", "is_cut"),
    [
        (b'{"id":"a","x":[1,{"y":2}', True),
        (b'{"id":"a","x":"begun', True),
        (b'{"id":"a","x":"\xc3', True),
        (b'{"id":"a","x":fals', True),
        (b'{"id":"a","x":1.', True),
        (b'{"id":"a",', True),
        (b'{"id":"a"}', False),
        (b'{"id":"a","x":"\\ud800"}', False),
        (b'{"id":"a","x":"\x01"}', False),
        (b'{"id":"a","x":"\xe4"}', False),
        (b'{"id":"a" "x":1, "y":"as long as it may be"}', False),
        (b'{"id":"a",\n', False),
        (b"oops", False),
        (b"", False),
        (b'{"x":' * 100_000, False),
    ],
)
def test_a_last_line_without_an_ending_is_cut_only_where_its_json_is(
    last: bytes, is_cut: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"id":"\\ud800"}\n' + last)

    assert ends_in_mid_line(path) == is_cut
