"""Cookies outlive the session that was given them, and only their owner can read them."""

from pathlib import Path

import httpx
import pytest

from ecw_pipeline.fhir_client.cookies import kept_cookies
from ecw_pipeline_tests.builders import mode_of
from ecw_pipeline_tests.odd_server import OddServer, odd_server, raw


def visit(odd: OddServer, kept: Path) -> None:
    with kept_cookies(kept) as cookies, httpx.Client() as http:
        http.cookies.jar = cookies.jar
        http.get(odd.url + "/page")


def test_the_next_session_brings_back_what_this_one_was_given(tmp_path: Path) -> None:
    kept = tmp_path / "cookies.json"
    with odd_server() as odd:
        odd.answers("/page", raw(200, set_cookie="affinity=node-7; Path=/; HttpOnly"), raw(200))
        visit(odd, kept)
        visit(odd, kept)

        assert [a.headers.get("cookie") for a in odd.arrivals] == [None, "affinity=node-7"]
    assert mode_of(kept) == 0o600


@pytest.mark.parametrize("text", ["", "{", "5", "[5]", '[["a"]]'])
def test_a_file_that_makes_no_sense_is_no_cookie(tmp_path: Path, text: str) -> None:
    kept = tmp_path / "cookies.json"
    kept.write_text(text)
    with kept_cookies(kept) as cookies:
        assert list(cookies) == []
