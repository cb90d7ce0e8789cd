"""Each way a document can fail to come ends in its state, says why, and gives no token away."""

import contextlib
import gzip
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.errors import EcwError, TemporaryError
from ecw_pipeline.stages.attachments import HOPELESS, fetch_attachments
from ecw_pipeline_tests.builders import names_below
from ecw_pipeline_tests.odd_server import OddServer, endless, odd_server, raw
from ecw_pipeline_tests.stages.documents import (
    PAGE,
    Office,
    binary,
    document,
    office,
    sha1_of,
)

LARGE = b"x" * (3 << 19)
GIGABYTES = 2_000_000_000


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Office]:
    """An office with one document, whose size and hash are told."""
    said = {"url": "Binary/b1", "hash": sha1_of(PAGE), "size": len(PAGE)}
    with office(tmp_path, document("d1", **said), binary("b1")) as made:
        yield made
        _assert_no_token(made)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Office]:
    """An office with one document, of which nothing is told."""
    with office(tmp_path, document("d1", url="Binary/b1"), binary("b1")) as made:
        yield made
        _assert_no_token(made)


@pytest.fixture
def elsewhere() -> Iterator[OddServer]:
    """Another server, on another origin."""
    with odd_server() as running:
        yield running


def _assert_no_token(office: Office) -> None:
    """No token is in a state row, an error or the warehouse."""
    folder = office.lake.folder
    tokens = {line.split('"')[3].encode() for line in [folder.token("practice").read_text()]}
    assert all(len(token) > 10 for token in tokens)
    with contextlib.closing(sqlite3.connect(folder.ledger)) as ledger:
        told = repr(ledger.execute("SELECT * FROM attachment").fetchall())
    told += repr(office.rows("*"))
    assert [token for token in tokens if token.decode() in told] == []


@pytest.mark.parametrize("fault", ["cut_body", "cut_without_length"])
def test_a_body_that_is_cut_is_tried_again(one: Office, fault: str) -> None:
    one.suffer(**{fault: {"on": "attachment"}})
    one.attach()
    state, error = one.outcome()
    assert state == "failed"
    assert error.startswith(f"it is cut short: {len(PAGE) // 2} of {len(PAGE)} bytes came → ")
    assert one.files() == []

    one.suffer()
    one.attach()
    assert one.outcome() == ("fetched", "")


def test_a_connection_that_breaks_leaves_nothing(bare: Office) -> None:
    bare.suffer(reset_mid_file={"on": "attachment"})
    bare.attach()

    state, error = bare.outcome()
    assert state == "failed"
    assert error.startswith("the connection to 127.0.0.1 broke")
    assert bare.files() == []


@pytest.mark.parametrize("fault", ["sign_in_page", "binary_as_resource"])
def test_a_page_to_sign_in_at_is_no_document(tmp_path: Path, fault: str) -> None:
    said = {"url": "Binary/b1", "contentType": "application/pdf"}
    pdf = binary("b1", b"%PDF-1.4", "application/pdf")
    with office(tmp_path, document("d1", **said), pdf) as one:
        one.suffer(**{fault: {}})
        one.attach()

        if fault == "sign_in_page":
            assert one.outcome()[0] == "wrong_type"
            assert "the server sent text/html" in one.outcome()[1]
            one.suffer()
            assert one.attach().settled == 0
            one.attach(retry=True)
        assert one.rows("state, content_type, text") == [("fetched", "application/pdf", None)]
        assert one.files()[0].read_bytes() == b"%PDF-1.4"


@pytest.mark.parametrize(
    ("status", "state"),
    [(404, "gone"), (410, "gone"), (401, "refused"), (403, "refused"), (500, "failed")],
)
def test_a_refusal_has_its_state(one: Office, status: int, state: str) -> None:
    one.suffer(error_status={"on": "attachment", "status": status})
    one.attach()
    assert one.outcome()[0] == state
    assert str(status) in one.outcome()[1]
    assert " → " in one.outcome()[1]

    one.suffer()
    one.attach(retry=state != "failed")
    assert one.outcome() == ("fetched", "")


@pytest.mark.parametrize("status", [404, 403])
def test_what_is_gone_or_refused_is_not_asked_for_again(one: Office, status: int) -> None:
    one.suffer(error_status={"on": "attachment", "status": status})
    one.attach()
    before = one.requests()

    one.attach()

    assert one.requests() == before


def test_a_redirect_to_another_origin_is_refused(one: Office) -> None:
    one.suffer(redirected_files={"on": "attachment"})
    one.attach()

    state, error = one.outcome()
    assert state == "refused"
    assert "sends us to localhost:" in error
    assert "which is not its own host" in error
    assert "ECW_FILE_HOSTS" in error
    assert _tokens_received(one) == 0
    assert one.requests() == 1


@pytest.mark.parametrize("asks", [False, True])
def test_a_redirect_that_is_allowed_is_followed_without_the_token(one: Office, asks: bool) -> None:
    one.practice.set("ECW_FILE_HOSTS", "localhost")
    one.suffer(redirected_files={"on": "attachment", "asks_for_token": asks})
    one.attach()

    assert one.outcome()[0] == ("refused" if asks else "fetched")
    assert _tokens_received(one) == 0


def _tokens_received(office: Office) -> int:
    struck: dict[str, int] = office.practice.site.stats()["by_fault"]
    return struck.get("redirected_files: token received", 0)


@pytest.mark.parametrize("is_allowed", [False, True])
def test_an_address_elsewhere_is_asked_only_if_allowed_and_without_the_token(
    tmp_path: Path, elsewhere: OddServer, is_allowed: bool
) -> None:
    url = elsewhere.answers("/d", raw(200, PAGE, content_type="text/html"))
    with office(tmp_path, document("d1", url=url)) as one:
        if is_allowed:
            one.practice.set("ECW_FILE_HOSTS", url.split("/")[2])
        one.attach()

        assert one.outcome()[0] == ("fetched" if is_allowed else "refused")
        assert elsewhere.authorizations("/d") == [None] * is_allowed


@pytest.mark.parametrize(
    "url", ["http://elsewhere.example/d", "ftp://elsewhere.example/d", "urn:uuid:1", "http://[x"]
)
def test_an_address_that_is_not_safe_is_not_asked(tmp_path: Path, url: str) -> None:
    with office(tmp_path, document("d1", url=url)) as one:
        one.attach()

        assert one.outcome()[0] in ("refused", "unreadable")
        assert one.requests() == 0


def test_two_gigabytes_that_the_resource_tells_are_not_asked_for(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1", size=GIGABYTES), binary("b1")) as one:
        one.attach()

        assert one.outcome()[0] == "too_large"
        assert "ECW_MAX_ATTACHMENT_MEGABYTES" in one.outcome()[1]
        assert one.requests() == 0


def test_two_gigabytes_that_the_server_announces_are_not_read(bare: Office) -> None:
    bare.suffer(announced_size={})
    bare.attach()
    assert bare.outcome()[0] == "too_large"
    assert bare.rows("size_bytes") == [(GIGABYTES,)]
    assert names_below(bare.lake.folder.attachments) == []

    before = bare.requests()
    bare.attach(retry=True)
    assert bare.requests() == before


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_body_without_a_length_is_read_up_to_the_limit(
    tmp_path: Path, elsewhere: OddServer, is_packed: bool
) -> None:
    body = gzip.compress(LARGE) if is_packed else LARGE
    encoding = {"content_encoding": "gzip"} if is_packed else {}
    url = elsewhere.answers("/d", endless(200, body, content_type="text/html", **encoding))
    with office(tmp_path, document("d1", url=url)) as one:
        one.practice.set("ECW_FILE_HOSTS", "127.0.0.1")
        one.practice.set("ECW_MAX_ATTACHMENT_MEGABYTES", 1)
        one.attach()
        assert one.outcome()[0] == "too_large"
        assert one.files() == []

        one.practice.set("ECW_MAX_ATTACHMENT_MEGABYTES", 2)
        one.attach()
        assert one.files()[0].read_bytes() == LARGE


def test_content_that_has_changed_is_told(one: Office) -> None:
    one.suffer(changed_content={})
    one.attach()

    state, error = one.outcome()
    assert state == "changed"
    assert error.startswith("its hash is not what the resource says: the content has changed since")
    assert one.files() == []


def test_a_size_that_does_not_fit_is_told(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1", size=3), binary("b1")) as one:
        one.attach()

        assert one.outcome()[0] == "changed"
        assert one.outcome()[1].startswith("its size is not what")


def test_a_size_that_counts_the_base64_is_taken(tmp_path: Path) -> None:
    said = {"url": "Binary/b1", "size": len(binary("b1")["data"])}
    with office(tmp_path, document("d1", **said), binary("b1")) as one:
        one.attach()

        assert one.outcome() == ("fetched", "")


def test_a_hash_that_fits_outweighs_another_type(one: Office) -> None:
    one.have(binary("b1", content_type="application/xhtml+xml"))
    one.attach()

    assert one.outcome() == ("fetched", "")


def test_a_binary_as_a_resource_is_unpacked(one: Office) -> None:
    one.suffer(binary_as_resource={})
    one.attach()

    assert one.rows("state, size_bytes") == [("fetched", len(PAGE))]


@pytest.mark.parametrize("body", [b'{"resourceType": "OperationOutcome"}', b"{", b"[]"])
def test_json_that_is_no_binary_is_no_document(
    tmp_path: Path, elsewhere: OddServer, body: bytes
) -> None:
    url = elsewhere.answers("/d", raw(200, body, content_type="application/fhir+json"))
    with office(tmp_path, document("d1", url=url)) as one:
        one.practice.set("ECW_FILE_HOSTS", "127.0.0.1")
        one.attach()

        assert one.outcome()[0] == "wrong_type"


@pytest.mark.parametrize("content_type", ["", "application/octet-stream"])
def test_a_server_that_does_not_know_a_type_is_told_it(
    tmp_path: Path, elsewhere: OddServer, content_type: str
) -> None:
    headers = {"content_type": content_type} if content_type else {}
    url = elsewhere.answers("/d", raw(200, PAGE, **headers))
    with office(tmp_path, document("d1", url=url)) as one:
        one.practice.set("ECW_FILE_HOSTS", "127.0.0.1")
        one.attach()

        assert one.rows("state, content_type") == [("fetched", "text/html")]


@pytest.mark.parametrize("content_type", ["PDF", "text/html\r\nX: y", "téxt/html", "a b/c"])
def test_a_declared_type_that_is_none_says_nothing(tmp_path: Path, content_type: str) -> None:
    said = {"url": "Binary/b1", "contentType": content_type}
    with office(tmp_path, document("d1", **said), binary("b1")) as one:
        one.attach()

        assert one.rows("state, content_type") == [("fetched", "text/html; charset=utf-8")]


def test_documents_that_the_server_cannot_give_do_not_fail_the_run(
    tmp_path: Path, elsewhere: OddServer
) -> None:
    broken = elsewhere.answers("/d", raw(500))
    bad = [document(f"a{n}", url=f"{broken}?{n}") for n in range(HOPELESS + 4)]
    with office(tmp_path, *bad) as one:
        one.practice.set("ECW_FILE_HOSTS", "127.0.0.1")
        for _ in range(2):
            assert one.attach().states == {"practice": {"failed": HOPELESS + 4}}


def test_of_a_document_of_unknown_type_the_reply_decides(
    tmp_path: Path, elsewhere: OddServer
) -> None:
    url = elsewhere.answers("/d", raw(200, PAGE, content_type="video/mp4"))
    nameless: Any = document("d1", url=url)
    del nameless["content"][0]["attachment"]["contentType"]
    with office(tmp_path, nameless) as one:
        one.practice.set("ECW_FILE_HOSTS", "127.0.0.1")
        one.attach()

        assert one.rows("state, content_type") == [("unwanted", "video/mp4")]
        assert one.attach().settled == 0


def test_a_token_that_ended_is_renewed(one: Office) -> None:
    one.suffer(expired_token={"on": "attachment"})
    one.attach()

    assert one.outcome() == ("fetched", "")


def test_a_server_that_is_not_there_ends_the_run(tmp_path: Path) -> None:
    documents = [document(f"d{n:02}", url=f"Binary/b{n}") for n in range(3 * HOPELESS)]
    with office(tmp_path, *documents, *(binary(f"b{n}") for n in range(3 * HOPELESS))) as one:
        one.suffer(error_status={"on": "attachment"})
        errors: list[EcwError] = []
        attached = fetch_attachments(one.lake, errors)

        assert [type(error) for error in errors] == [TemporaryError]
        assert "continues where it stopped" in errors[0].next_step
        assert attached.states["practice"]["planned"] > HOPELESS

        one.suffer()
        assert one.attach().states == {"practice": {"fetched": 3 * HOPELESS}}


def test_what_always_fails_keeps_nothing_waiting(tmp_path: Path, elsewhere: OddServer) -> None:
    broken = elsewhere.answers("/d", b"")
    bad = [document(f"a{n}", url=f"{broken}?{n}") for n in range(HOPELESS + 4)]
    with office(tmp_path, *bad) as one:
        one.practice.set("ECW_FILE_HOSTS", "127.0.0.1")
        fetch_attachments(one.lake, [])
        one.have(*bad, document("new", url="Binary/b1"), binary("b1"))
        one.pull_everything()

        for _ in range(2):
            fetch_attachments(one.lake, [])

        assert ("new", "fetched") in one.rows("resource_id, state")


def test_a_body_that_crawls_is_broken_off(tmp_path: Path, elsewhere: OddServer) -> None:
    url = elsewhere.answers("/d", raw(200, LARGE, content_type="text/html"))
    with office(tmp_path, document("d1", url=url)) as one:
        one.practice.set("ECW_FILE_HOSTS", "127.0.0.1")
        clock = one.practice.clock
        now = clock.now

        def hours_pass() -> Any:
            clock.advance(3600)
            return now()

        one.practice.environment.setattr(clock, "now", hours_pass)
        one.attach()

        assert one.outcome()[0] == "failed"
        assert "too slowly" in one.outcome()[1]


def test_signed_addresses_are_in_no_error(tmp_path: Path, elsewhere: OddServer) -> None:
    url = elsewhere.answers("/d", raw(500)) + "?signature=s3cret"
    with office(tmp_path, document("d1", url=url)) as one:
        one.practice.set("ECW_FILE_HOSTS", "127.0.0.1")
        one.attach()

        assert "s3cret" not in one.outcome()[1]
        assert b"s3cret" not in one.lake.folder.ledger.read_bytes()
