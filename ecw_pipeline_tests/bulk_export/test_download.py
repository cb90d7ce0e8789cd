"""A file arrives whole, as it was sent, or not at all."""

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecw_pipeline.bulk_export.download import Downloaded, download
from ecw_pipeline.errors import EcwError, MachineError, ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.session import Session, open_session
from ecw_pipeline.layout import DataFolder
from ecw_pipeline_tests.builders import (
    connection,
    mode_of,
    monday_clock,
    names_below,
    no_room_for_files,
)
from ecw_pipeline_tests.odd_server import OddServer, endless, odd_server, raw

LINES = b'{"resourceType":"Patient","id":"ann"}\n' * 100
PACKED = gzip.compress(LINES)


@contextmanager
def session_with(odd: OddServer, folder: Path) -> Iterator[Session]:
    one = connection(odd.url + "/r4")
    with open_session(one, DataFolder(folder / "data"), monday_clock()) as session:
        yield session


def fetched(odd: OddServer, folder: Path, *replies: bytes, with_token: bool = False) -> Downloaded:
    url = odd.answers("/file", *replies)
    with session_with(odd, folder) as session:
        stem = folder / "landing" / "00000"
        return download(session, url + "?signature=s3cret", stem, with_token=with_token)


def refusal(odd: OddServer, folder: Path, reply: bytes, *, with_token: bool = False) -> EcwError:
    """How a file that did not arrive is put into words; nothing of it is left."""
    with pytest.raises(EcwError) as caught:
        fetched(odd, folder, reply, with_token=with_token)
    assert [n for n in names_below(folder) if n.startswith("landing/")] == []
    assert caught.value.next_step
    assert "s3cret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("body", "name"), [(LINES, "00000.ndjson"), (PACKED, "00000.ndjson.gz"), (b"", "00000.ndjson")]
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
@given(st.binary(max_size=300_000))
def test_any_bytes_arrive_with_their_hash(odd: OddServer, tmp_path: Path, body: bytes) -> None:
    file = fetched(odd, tmp_path, endless(200, body))

    assert file.path.read_bytes() == body
    assert (file.sha256, file.size_bytes) == (hashlib.sha256(body).hexdigest(), len(body))


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


def test_the_token_does_not_follow_a_redirect_to_another_origin(
    odd: OddServer, tmp_path: Path
) -> None:
    with odd_server() as other:
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
        download(session, url, tmp_path / "f", with_token=True)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (raw(404), TemporaryError),
        (raw(410), TemporaryError),
        (raw(429), TemporaryError),
        (raw(503), TemporaryError),
        (raw(302, location="/file"), TemporaryError),
        (raw(401, b"<html>sign in</html>", content_type="text/html"), ProtocolError),
        (raw(403), ProtocolError),
        (raw(500), ProtocolError),
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
    part = tmp_path / "landing" / "00000.ndjson.part"
    part.parent.mkdir()
    part.symlink_to("/dev/full")

    with pytest.raises(MachineError, match="no space left on the disk"):
        fetched(odd, tmp_path, raw(200, LINES))
    assert names_below(tmp_path / "landing") == []


def test_a_file_that_may_not_grow_is_a_machine_error(odd: OddServer, tmp_path: Path) -> None:
    url = odd.answers("/file", raw(200, LINES))
    with session_with(odd, tmp_path) as session:
        download(session, url, tmp_path / "landing" / "first", with_token=False)
        stem = tmp_path / "landing" / "second"
        with no_room_for_files(), pytest.raises(MachineError):
            download(session, url, stem, with_token=False)

    assert names_below(tmp_path / "landing") == ["first.ndjson"]
