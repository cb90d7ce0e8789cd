"""The text of documents that are text."""

from pathlib import Path

import pytest

from ecw_pipeline.attachments import text
from ecw_pipeline.attachments.text import text_of

PAGE = """<!DOCTYPE html><html><head><title>Report</title><style>p {color: red}</style></head>
<body><script>if (1 < 2) alert("x")</script><h1>Finding</h1><p>No <b>acute</b>
process&nbsp;&amp; no&#32;change.<br/>Second line</p><!-- aside -->
<table><tr><th>Name</th><td>Value</td></tr></table></body></html>"""


def _text(tmp_path: Path, content: bytes | str, content_type: str) -> str | None:
    path = tmp_path / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return text_of(path, content_type)


@pytest.mark.parametrize("content_type", ["text/html", "Text/HTML; charset=utf-8"])
def test_a_page_is_read_without_its_marks(tmp_path: Path, content_type: str) -> None:
    assert _text(tmp_path, PAGE, content_type) == (
        "Finding\nNo acute process & no change.\nSecond line\nName Value"
    )


@pytest.mark.parametrize(
    "page", ["", "<", "<p", "<!", "<![CDATA[x", "</p>", "<script>", "<style><p>x", "&#xD800;"]
)
def test_a_broken_page_is_no_error(tmp_path: Path, page: str) -> None:
    assert isinstance(_text(tmp_path, page, "text/html"), str)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ("Grüße".encode(), "text/plain"),
        ("Grüße".encode("utf-8-sig"), "text/plain"),
        ("Grüße".encode("latin-1"), "text/plain"),
        ("Grüße".encode("utf-16"), "text/plain"),
        ("Grüße".encode("cp437"), 'text/plain; charset="cp437"'),
        ("Grüße".encode(), "text/plain; charset=no-such"),
        ("Grüße".encode(), "text/plain; charset=base64"),
        ("Grüße\0".encode(), "text/plain"),
    ],
)
def test_plain_text_is_decoded_as_it_says_or_can_be(
    tmp_path: Path, content: bytes, content_type: str
) -> None:
    assert _text(tmp_path, content, content_type) == "Grüße"


def test_any_bytes_are_some_text(tmp_path: Path) -> None:
    assert len(_text(tmp_path, bytes(range(1, 256)), "text/plain") or "") == 255


def test_a_page_may_say_its_charset_itself(tmp_path: Path) -> None:
    page = '<meta charset="cp437"><p>Grüße</p>'.encode("cp437")

    assert _text(tmp_path, page, "text/html") == "Grüße"


@pytest.mark.parametrize("content_type", ["application/pdf", "image/png", "", "text/rtf"])
def test_other_types_have_no_text(tmp_path: Path, content_type: str) -> None:
    assert _text(tmp_path, "%PDF", content_type) is None


def test_what_is_too_long_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LONGEST_BYTES", 4)

    assert _text(tmp_path, "1234", "text/plain") == "1234"
    assert _text(tmp_path, "12345", "text/plain") is None
