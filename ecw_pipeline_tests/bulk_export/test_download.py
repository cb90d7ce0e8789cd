"""A file arrives whole, as it was sent, or not at all."""

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecw_pipeline.bulk_export.download import Downloaded, RefusedLinkError, download
from ecw_pipeline.bulk_export.limits import Limits
from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import EcwError, MachineError, ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.session import Session, open_session
from ecw_pipeline.layout import DataFolder
from ecw_pipeline_tests.builders import (
    MONDAY,
    connection,
    mode_of,
    monday_clock,
    names_below,
    no_room_for_files,
)
from ecw_pipeline_tests.odd_server import OddServer, endless, odd_server, raw

LINES = b'{"resourceType":"Patient","id":"ann"}\n' * 100
PACKED = gzip.compress(LINES, mtime=0)
WIDE = Limits(1 << 30, 300)


@contextmanager
def session_with(
    odd: OddServer, folder: Path, clock: ManualClock | None = None
) -> Iterator[Session]:
    one = connection(odd.url + "/r4", file_hosts=("localhost",))
    with open_session(one, DataFolder(folder / "data"), clock or monday_clock()) as session:
        yield session


def fetched(
    odd: OddServer,
    folder: Path,
    *replies: bytes,
    with_token: bool = False,
    limits: Limits = WIDE,
) -> Downloaded:
    url = odd.answers("/file", *replies)
    with session_with(odd, folder) as session:
        stem = folder / "landing" / "00000"
        return download(session, url + "?signature=s3cret", stem, limits, with_token=with_token)


def refusal(odd: OddServer, folder: Path, reply: bytes, *, with_token: bool = False) -> EcwError:
    """How a file that did not arrive is put into words; nothing of it is left."""
    with pytest.raises(EcwError) as caught:
        fetched(odd, folder, reply, with_token=with_token)
    assert [n for n in names_below(folder) if n.startswith("landing/")] == []
    assert caught.value.next_step
    assert "s3cret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("body", "name"),
    [(LINES, "00000.ndjson"), (PACKED, "00000.ndjson.gz"), (b"", "00000.ndjson")],
    ids=["plain", "packed", "empty"],
)
def test_a_file_is_kept_as_it_was_sent(
    odd: OddServer, tmp_path: Path, body: bytes, name: str
) -> None:
    file = fetched(odd, tmp_path, raw(200, body))

    assert file == Downloaded(
        tmp_path / "landing" / name, hashlib.sha256(body).hexdigest(), len(body)
    )
    assert file.path.read_bytes() == body
    assert mode_of(file.path) == 0o600


def test_a_body_packed_for_the_way_stays_packed(odd: OddServer, tmp_path: Path) -> None:
    file = fetched(odd, tmp_path, raw(200, PACKED, content_encoding="gzip"))

    assert file.path.name == "00000.ndjson.gz"
    assert file.path.read_bytes() == PACKED


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300_000).filter(lambda body: not body.startswith(b"\x1f\x8b")))
def test_any_bytes_arrive_with_their_hash(odd: OddServer, tmp_path: Path, body: bytes) -> None:
    file = fetched(odd, tmp_path, endless(200, body))

    assert file.path.read_bytes() == body
    assert (file.sha256, file.size_bytes) == (hashlib.sha256(body).hexdigest(), len(body))


def test_what_came_whole_before_a_kill_is_not_fetched_again(odd: OddServer, tmp_path: Path) -> None:
    broken = raw(200, LINES, content_length=str(len(LINES) + 1), etag='"v1"')
    with pytest.raises(TemporaryError):
        fetched(odd, tmp_path, broken)

    file = fetched(odd, tmp_path, raw(416, b"gone", content_range=f"bytes */{len(LINES)}"))

    assert file.path.read_bytes() == LINES
    assert file.sha256 == hashlib.sha256(LINES).hexdigest()
    assert names_below(tmp_path / "landing") == ["00000.ndjson"]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, len(PACKED) - 1))
def test_a_body_cut_anywhere_leaves_nothing(odd: OddServer, tmp_path: Path, kept: int) -> None:
    reply = raw(200, PACKED[:kept], content_length=str(len(PACKED)))

    assert isinstance(refusal(odd, tmp_path, reply), TemporaryError)


def test_a_chunked_body_that_breaks_off_is_temporary(odd: OddServer, tmp_path: Path) -> None:
    reply = endless(200, b"5\r\nhello\r\n", transfer_encoding="chunked")

    assert isinstance(refusal(odd, tmp_path, reply), TemporaryError)


def test_a_broken_download_keeps_the_whole_file_of_before(odd: OddServer, tmp_path: Path) -> None:
    before = fetched(odd, tmp_path, raw(200, LINES))
    with pytest.raises(TemporaryError):
        fetched(odd, tmp_path, raw(200, b"{}", content_length="9"))

    assert before.path.read_bytes() == LINES


@pytest.mark.parametrize(("with_token", "sent"), [(True, "Bearer abc"), (False, None)])
def test_the_token_is_sent_only_if_it_is_asked_for(
    odd: OddServer, tmp_path: Path, with_token: bool, sent: str | None
) -> None:
    fetched(odd, tmp_path, raw(200, LINES), with_token=with_token)

    assert odd.authorizations("/file")[-1] == sent


@pytest.mark.parametrize(
    ("replies", "sent"),
    [((raw(200, LINES),), [None]), ((raw(401), raw(200, LINES)), [None, "Bearer abc"])],
    ids=["signed link", "asks for it"],
)
def test_another_host_is_sent_the_token_only_where_it_asks_for_it(
    odd: OddServer, tmp_path: Path, replies: tuple[bytes, ...], sent: list[str | None]
) -> None:
    with odd_server("localhost") as other, session_with(odd, tmp_path) as session:
        url = other.answers("/f", *replies)
        file = download(session, url, tmp_path / "f", WIDE, with_token=True)

        assert file.path.read_bytes() == LINES
        assert other.authorizations("/f") == sent


def test_another_host_that_asks_for_a_token_in_vain_gets_none(
    odd: OddServer, tmp_path: Path
) -> None:
    with odd_server("localhost") as other, session_with(odd, tmp_path) as session:
        url = other.answers("/f", raw(401))
        with pytest.raises(ProtocolError):
            download(session, url, tmp_path / "f", WIDE, with_token=False)

        assert other.authorizations("/f") == [None]


@pytest.mark.parametrize(
    ("reply", "is_measured"),
    [
        (raw(200, LINES), True),
        (endless(200, LINES), False),
        (endless(200, PACKED), True),
        (
            endless(200, b"26\r\n" + LINES[:38] + b"\r\n0\r\n\r\n", transfer_encoding="chunked"),
            True,
        ),
    ],
    ids=["length", "none", "packed", "chunks"],
)
def test_a_file_knows_whether_its_end_was_told(
    odd: OddServer, tmp_path: Path, reply: bytes, is_measured: bool
) -> None:
    assert fetched(odd, tmp_path, reply).is_measured == is_measured


def test_the_token_does_not_follow_a_redirect_to_another_origin(
    odd: OddServer, tmp_path: Path
) -> None:
    with odd_server("localhost") as other:
        there = other.answers("/signed", raw(200, LINES))
        file = fetched(odd, tmp_path, raw(302, location=there), with_token=True)

        assert file.path.read_bytes() == LINES
        assert other.authorizations("/signed") == [None]


def test_the_token_follows_a_redirect_at_home(odd: OddServer, tmp_path: Path) -> None:
    odd.answers("/moved", raw(200, LINES))
    fetched(odd, tmp_path, raw(302, location="/moved"), with_token=True)

    assert odd.authorizations("/moved")[-1] == "Bearer abc"


def test_a_redirect_to_plain_http_is_not_followed(odd: OddServer, tmp_path: Path) -> None:
    error = refusal(odd, tmp_path, raw(302, location="http://192.0.2.1/f"), with_token=True)

    assert isinstance(error, ProtocolError)
    assert "not https" in error.message


@pytest.mark.parametrize("url", ["http://192.0.2.1/f", "http://[bad", "file:///etc/passwd", "f"])
def test_a_file_without_https_is_not_fetched(odd: OddServer, tmp_path: Path, url: str) -> None:
    with session_with(odd, tmp_path) as session, pytest.raises(ProtocolError, match="not https"):
        download(session, url, tmp_path / "f", WIDE, with_token=True)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (raw(404), TemporaryError),
        (raw(410), TemporaryError),
        (raw(429), TemporaryError),
        (raw(503), TemporaryError),
        (raw(302, location="/file"), TemporaryError),
        (raw(401, b"<html>sign in</html>", content_type="text/html"), ProtocolError),
        (raw(400), RefusedLinkError),
        (raw(403), RefusedLinkError),
        (raw(405), ProtocolError),
        (raw(408), TemporaryError),
        (raw(500), TemporaryError),
        (raw(206, LINES), ProtocolError),
    ],
)
def test_who_must_act_when_a_file_does_not_come(
    odd: OddServer, tmp_path: Path, reply: bytes, error: type[EcwError]
) -> None:
    assert isinstance(refusal(odd, tmp_path, reply, with_token=True), error)


def test_a_link_that_expired_says_so(odd: OddServer, tmp_path: Path) -> None:
    assert "has expired" in refusal(odd, tmp_path, raw(410)).message


def test_a_busy_server_is_asked_again(odd: OddServer, tmp_path: Path) -> None:
    assert fetched(odd, tmp_path, raw(503), raw(200, LINES)).size_bytes == len(LINES)


def test_a_full_disk_is_a_machine_error(odd: OddServer, tmp_path: Path) -> None:
    part = tmp_path / "landing" / "00000.part"
    part.parent.mkdir()
    part.symlink_to("/dev/full")

    with pytest.raises(MachineError, match="no space left on the disk"):
        fetched(odd, tmp_path, raw(200, LINES))
    assert names_below(tmp_path / "landing") == []


def test_a_file_that_may_not_grow_is_a_machine_error(odd: OddServer, tmp_path: Path) -> None:
    url = odd.answers("/file", raw(200, LINES))
    with session_with(odd, tmp_path) as session:
        download(session, url, tmp_path / "landing" / "first", WIDE, with_token=False)
        stem = tmp_path / "landing" / "second"
        with no_room_for_files(), pytest.raises(MachineError):
            download(session, url, stem, WIDE, with_token=False)

    assert names_below(tmp_path / "landing") == ["first.ndjson"]


# --- resuming -------------------------------------------------------------------------------------

BREAKS = 1000


def rest(start: int, total: int = len(LINES), etag: str = '"v1"', body: bytes = LINES) -> bytes:
    place = f"bytes {start}-{total - 1}/{total}"
    return raw(206, body[start:], content_range=place, etag=etag)


def resumed(odd: OddServer, folder: Path, second: bytes, etag: str = '"v1"') -> Downloaded:
    """The first connection breaks after some bytes; the second reply is as the test says."""
    broken = raw(200, LINES[:BREAKS], content_length=str(len(LINES)), etag=etag)
    with pytest.raises(TemporaryError):
        fetched(odd, folder, broken)
    return fetched(odd, folder, second)


def asked_for(odd: OddServer) -> tuple[str | None, str | None]:
    """The Range and If-Range of the last request for the file."""
    last = [arrival for arrival in odd.arrivals if arrival.path.startswith("/file")][-1]
    return last.headers.get("range"), last.headers.get("if-range")


def test_a_file_that_broke_off_is_resumed(odd: OddServer, tmp_path: Path) -> None:
    file = resumed(odd, tmp_path, rest(BREAKS))

    assert file.path.read_bytes() == LINES
    assert file.sha256 == hashlib.sha256(LINES).hexdigest()
    assert asked_for(odd) == (f"bytes={BREAKS}-", '"v1"')
    assert names_below(tmp_path / "landing") == ["00000.ndjson"]


def test_a_server_that_starts_again_is_not_appended(odd: OddServer, tmp_path: Path) -> None:
    assert resumed(odd, tmp_path, raw(200, LINES, etag='"v2"')).path.read_bytes() == LINES


@pytest.mark.parametrize("etag", ["", 'W/"v1"'])
def test_without_a_strong_etag_nothing_is_resumed(
    odd: OddServer, tmp_path: Path, etag: str
) -> None:
    file = resumed(odd, tmp_path, raw(200, LINES), etag)

    assert file.path.read_bytes() == LINES
    assert asked_for(odd) == (None, None)


@pytest.mark.parametrize(
    "second",
    [rest(BREAKS - 1), rest(BREAKS, etag='"v2"'), rest(BREAKS, total=9999), raw(206), raw(416)],
)
def test_a_rest_that_does_not_fit_starts_the_file_anew(
    odd: OddServer, tmp_path: Path, second: bytes
) -> None:
    with pytest.raises(TemporaryError):
        resumed(odd, tmp_path, second)

    assert names_below(tmp_path / "landing") == []
    assert fetched(odd, tmp_path, raw(200, LINES)).path.read_bytes() == LINES


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, len(PACKED) - 1))
def test_a_packed_file_that_broke_off_anywhere_ends_the_same(
    odd: OddServer, tmp_path: Path, kept: int
) -> None:
    broken = raw(200, PACKED[:kept], content_length=str(len(PACKED)), etag='"v1"')
    with pytest.raises(TemporaryError):
        fetched(odd, tmp_path, broken)
    second = rest(kept, len(PACKED), body=PACKED) if kept else raw(200, PACKED)

    assert fetched(odd, tmp_path, second).path.read_bytes() == PACKED


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [3, len(PACKED) // 2, len(PACKED) - 1])
def test_gzip_that_is_cut_in_good_order_is_no_file(
    odd: OddServer, tmp_path: Path, kept: int
) -> None:
    error = refusal(odd, tmp_path, endless(200, PACKED[:kept]))

    assert isinstance(error, TemporaryError)
    assert "00000.ndjson.gz is cut short" in error.message


def test_gzip_in_several_members_is_one_file(odd: OddServer, tmp_path: Path) -> None:
    assert fetched(odd, tmp_path, raw(200, PACKED + PACKED)).size_bytes == 2 * len(PACKED)


def test_gzip_with_something_else_behind_it_is_no_file(odd: OddServer, tmp_path: Path) -> None:
    assert "damaged" in refusal(odd, tmp_path, raw(200, PACKED + b"{}")).message


def test_a_gzip_bomb_is_refused_while_it_comes(odd: OddServer, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(80 << 20))
    error = refusal(odd, tmp_path, raw(200, bomb))

    assert isinstance(error, ProtocolError)
    assert "ECW_MAX_UNPACKED_RATIO" in error.next_step


def test_a_file_beyond_the_largest_is_refused(odd: OddServer, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="larger than") as caught:
        fetched(odd, tmp_path, raw(200, bytes((1 << 20) + 1)), limits=Limits(1 << 20, 300))

    assert "ECW_MAX_FILE_MEGABYTES" in caught.value.next_step
    assert names_below(tmp_path / "landing") == []


def test_a_file_without_content_is_empty(odd: OddServer, tmp_path: Path) -> None:
    assert fetched(odd, tmp_path, raw(204)).path.read_bytes() == b""


class Hasty(ManualClock):
    """More than a minute passes at each look."""

    def now(self) -> datetime:
        self.advance(61)
        return super().now()


def test_a_body_that_crawls_is_broken_off(odd: OddServer, tmp_path: Path) -> None:
    url = odd.answers("/file", endless(200, LINES, etag='"v1"'))
    stem = tmp_path / "landing" / "00000"
    with (
        session_with(odd, tmp_path, Hasty(MONDAY)) as session,
        pytest.raises(TemporaryError, match="less than 64 KB a minute"),
    ):
        download(session, url, stem, WIDE, with_token=False)


def test_a_file_at_another_host_is_fetched_only_if_the_host_is_named(
    odd: OddServer, tmp_path: Path
) -> None:
    with session_with(odd, tmp_path) as session:
        for url in ("https://elsewhere.example.org/f", odd.url.replace("127.0.0.1", "127.0.0.2")):
            with pytest.raises(ProtocolError, match="not its own host") as caught:
                download(session, url, tmp_path / "f", WIDE, with_token=True)
            assert "ECW_FILE_HOSTS" in caught.value.next_step
