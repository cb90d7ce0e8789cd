"""What each fault of files looks like on the wire, to a plain HTTP client."""

import gzip
import json
import zlib

import httpx
import pytest

from ecw_pipeline_tests.sandbox.harness import Visitor
from ecw_pipeline_tests.sandbox.suffering import (
    PACKED,
    PLAIN,
    fetched,
    only_file,
    plain_lines,
    resources,
    suffering,
)


@pytest.fixture(scope="module")
def url(hostile: Visitor) -> str:
    """A file of tasks, exported while all was well."""
    return only_file(hostile.sign_in().export("", _type="Task"))


@pytest.fixture(scope="module")
def honest(hostile: Visitor, url: str) -> bytes:
    """What is in it."""
    return b"".join(plain_lines(hostile, url))


# --- transfers --------------------------------------------------------------------------------


def test_cut_without_length(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"cut_without_length": {"kept": 0.25}}):
        reply, body = fetched(hostile, url, **PLAIN)

    assert "content-length" not in reply.headers
    assert body == honest[: len(honest) // 4]


def test_cut_body(hostile: Visitor, url: str) -> None:
    whole = fetched(hostile.sign_in(), url, **PACKED)[1]
    with suffering(hostile, {"cut_body": {}}):
        reply, body = fetched(hostile, url, **PACKED)

    assert body == whole[: len(whole) // 2]
    assert reply.headers["content-length"] == str(len(body))
    with pytest.raises(EOFError):
        gzip.decompress(body)


def test_reset_mid_file(hostile: Visitor, url: str, honest: bytes) -> None:
    got: list[bytes] = []
    with (
        suffering(hostile, {"reset_mid_file": {"times": 1}}),
        hostile.http.stream("GET", url, headers={**hostile.headers, **PLAIN}) as reply,
        pytest.raises(httpx.ReadError),
    ):
        got.extend(reply.iter_raw())

    assert reply.headers["content-length"] == str(len(honest))
    assert b"".join(got) == honest[: len(honest) // 2]


def test_no_file_headers(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"no_file_headers": {}}):
        reply, body = fetched(hostile, url, **PLAIN)

    assert {"content-length", "etag", "accept-ranges"}.isdisjoint(reply.headers)
    assert body == honest


@pytest.mark.parametrize("encoding", [PACKED, PLAIN])
def test_range_ignored(hostile: Visitor, url: str, encoding: dict[str, str]) -> None:
    headers = {**encoding, "Range": "bytes=100-"}
    honoured, rest = fetched(hostile.sign_in(), url, **headers)
    with suffering(hostile, {"range_ignored": {}}):
        ignored, whole = fetched(hostile, url, **headers)

    assert (honoured.status_code, ignored.status_code) == (206, 200)
    assert whole[100:] == rest


@pytest.mark.parametrize("asks_for_token", [True, False])
def test_redirected_files(hostile: Visitor, url: str, honest: bytes, asks_for_token: bool) -> None:
    hostile.http.post(f"{hostile.server_url}/sandbox/reset-stats")
    with suffering(hostile, {"redirected_files": {"asks_for_token": asks_for_token}}):
        there = fetched(hostile, url)[0].headers["location"]
        without_token = httpx.get(there)
        with_token = httpx.get(there, headers=hostile.headers)

    assert httpx.URL(there).host == "localhost"
    served, refused = (with_token, without_token) if asks_for_token else (without_token, with_token)
    assert served.content == honest
    assert refused.status_code == (401 if asks_for_token else 400)
    assert hostile.stats()["by_fault"]["redirected_files: token received"] == 1


def test_slow_body(hostile: Visitor, url: str, honest: bytes) -> None:
    got: list[bytes] = []
    headers, timeout = {**hostile.headers, **PLAIN}, httpx.Timeout(20, read=0.5)
    with (
        suffering(hostile, {"slow_body": {"size_bytes": 10, "pause_seconds": 60.0}}),
        hostile.http.stream("GET", url, headers=headers, timeout=timeout) as reply,
        pytest.raises(httpx.ReadTimeout),
    ):
        got.extend(reply.iter_raw())

    assert b"".join(got) == honest[:10]


def test_slow_body_comes_whole_to_who_waits(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"slow_body": {"size_bytes": 1000, "pause_seconds": 0.0}}):
        assert fetched(hostile, url, **PLAIN)[1] == honest


def test_gzip_bomb(hostile: Visitor, url: str) -> None:
    with suffering(hostile, {"gzip_bomb": {"megabytes": 8}}):
        reply, body = fetched(hostile, url, **PACKED)
        line = gzip.decompress(body)

    assert reply.headers["content-encoding"] == "gzip"
    assert len(line) > 8_000_000 > 900 * len(body)
    assert json.loads(line)["id"] == "bomb"


# --- contents ---------------------------------------------------------------------------------


def test_duplicate_lines(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"duplicate_lines": {"lines": 2}}):
        lines = plain_lines(hostile, url)

    assert lines[-2:] == lines[:2]
    assert b"".join(lines[:-2]) == honest


def test_byte_order_mark(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"byte_order_mark": {}}):
        assert b"".join(plain_lines(hostile, url)) == b"\xef\xbb\xbf" + honest


def test_crlf(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"crlf": {}}):
        lines = plain_lines(hostile, url)

    assert all(line.endswith(b"\r\n") for line in lines)
    assert resources(lines) == resources(honest.splitlines())


def test_bad_utf8(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"bad_utf8": {"line": 2}}):
        lines = plain_lines(hostile, url)

    with pytest.raises(UnicodeDecodeError):
        lines[1].decode()
    assert [lines[0], *lines[2:]] == [
        line for n, line in enumerate(honest.splitlines(keepends=True)) if n != 1
    ]


def test_long_line(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"long_line": {"megabytes": 2}}):
        lines = plain_lines(hostile, url)

    assert len(lines[0]) > 2_000_000
    assert [r["id"] for r in resources(lines)] == [r["id"] for r in resources(honest.splitlines())]


def test_no_final_newline(hostile: Visitor, url: str, honest: bytes) -> None:
    with suffering(hostile, {"no_final_newline": {}}):
        assert b"".join(plain_lines(hostile, url)) == honest[:-1]


@pytest.mark.parametrize("encoding", [PACKED, PLAIN])
def test_spoilt_lines_can_be_had_in_parts(
    hostile: Visitor, url: str, encoding: dict[str, str]
) -> None:
    with suffering(hostile, {"crlf": {}}):
        reply, whole = fetched(hostile, url, **encoding)
        headers = {**encoding, "Range": "bytes=50-", "If-Range": reply.headers["etag"]}
        rest, tail = fetched(hostile, url, **headers)

    assert (rest.status_code, tail) == (206, whole[50:])


def test_a_file_that_is_not_there_is_not_made_up(hostile: Visitor, url: str) -> None:
    with suffering(hostile, {"crlf": {}}):
        assert fetched(hostile, url + "x")[0].status_code == 404


def test_the_bomb_is_one_gzip_stream(hostile: Visitor, url: str) -> None:
    with suffering(hostile, {"gzip_bomb": {"megabytes": 1}}):
        body = fetched(hostile, url, **PACKED)[1]

    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert unpacker.decompress(body).endswith(b'"}\n')
    assert unpacker.unused_data == b""
