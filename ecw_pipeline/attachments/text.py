"""The text of documents: plain, HTML without its marks, and what `pdf.py` has read before."""

import codecs
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path

from ecw_pipeline.attachments.declared import media_type
from ecw_pipeline.attachments.pdf import is_pdf, text_beside

# What is longer is to be read from its file.
LONGEST_BYTES = 10 << 20
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_SILENT = frozenset({"script", "style", "template", "title"})
# Elements that flow with the words around them; all others begin and end lines.
_FLOWING = """
    a abbr b bdi bdo big cite code data dfn em font i kbd label mark q s samp small span strike
    strong sub sup time tt u var
"""
_INLINE = frozenset(_FLOWING.split())


def text_of(path: Path, content_type: str) -> str | None:
    """The text of a file; None where it is of a type that has none we can read, or too long."""
    if is_pdf(content_type):
        beside = text_beside(path)
        return beside.read_text("utf-8").replace("\0", "") or None if beside.exists() else None
    extract = _EXTRACTORS.get(media_type(content_type))
    if extract is None or path.stat().st_size > LONGEST_BYTES:
        return None
    # A text column holds no NUL.
    return extract(_decoded(path.read_bytes(), content_type)).replace("\0", "")


def _decoded(content: bytes, content_type: str) -> str:
    """As it says of itself; else UTF-8 if it can be, else Western European, which all can be."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    for charset in (*_named_charsets(content, content_type), "utf-8-sig", "cp1252"):
        try:
            return content.decode(charset)
        except (LookupError, ValueError):
            continue
    return content.decode("latin-1")


def _named_charsets(content: bytes, content_type: str) -> list[str]:
    named = _CHARSET.search(content_type)
    in_page = _META_CHARSET.search(content[:1024])
    found = [named[1]] if named else []
    return [*found, in_page[1].decode()] if in_page else found


class _Words(HTMLParser):
    """Collects the words between the marks."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self._silent += tag in _SILENT
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT and self._silent:
            self._silent -= 1
        self._break(tag)

    def handle_startendtag(self, tag: str, _attrs: object) -> None:
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(_SPACES.sub(" ", data))

    def _break(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._parts.append("\t")
        elif tag not in _INLINE:
            self._parts.append("\n")

    @property
    def text(self) -> str:
        """Lines of words, without empty ones."""
        lines = ("".join(self._parts)).splitlines()
        told = (" ".join(line.split()) for line in lines)
        return "\n".join(line for line in told if line)


def _of_html(page: str) -> str:
    words = _Words()
    words.feed(page)
    words.close()
    return words.text


def _of_plain(text: str) -> str:
    return text


_EXTRACTORS: Mapping[str, Callable[[str], str]] = {
    "text/plain": _of_plain,
    "text/html": _of_html,
    "application/xhtml+xml": _of_html,
}
