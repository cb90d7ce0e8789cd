"""FHIRPath text to tokens. Nothing here knows what a token means.

Source: FHIRPath 2.0, "Lexical Elements".
"""

import re
from dataclasses import dataclass
from enum import Enum

from ecw_pipeline.sql_on_fhir.problems import PathError


class TokenKind(Enum):
    """What sort of word a token is."""

    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    DATETIME = "dateTime"
    CONSTANT = "constant"
    SPECIAL = "special"
    SYMBOL = "symbol"
    END = "end"


@dataclass(frozen=True)
class Token:
    """One word of a path; ``text`` is already unquoted, ``at`` is the character it starts at."""

    kind: TokenKind
    text: str
    at: int
    is_delimited: bool = False

    def is_symbol(self, text: str) -> bool:
        return self.kind is TokenKind.SYMBOL and self.text == text

    def is_word(self, text: str) -> bool:
        return self.kind is TokenKind.NAME and self.text == text and not self.is_delimited


_DATE = r"\d{4}(?:-\d{2}(?:-\d{2})?)?"
_TIME = r"\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?"
_PATTERNS = (
    ("space", r"\s+|//[^\n]*|/\*.*?\*/"),
    ("datetime", rf"@(?:T{_TIME}|{_DATE}(?:T(?:{_TIME}(?:Z|[+-]\d{{2}}:\d{{2}})?)?)?)"),
    ("number", r"\d+(?:\.\d+)?"),
    ("string", r"'(?:[^'\\]++|\\.)*+'"),
    ("constant", r"%(?:[A-Za-z_][A-Za-z0-9_]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*')"),
    ("special", r"\$[a-z]+"),
    ("name", r"[A-Za-z_][A-Za-z0-9_]*"),
    ("delimited", r"`(?:[^`\\]|\\.)*`"),
    ("symbol", r"<=|>=|!=|!~|[.,()\[\]{}+\-*/|&<>=~]"),
)
_TOKEN = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _PATTERNS), re.DOTALL)
_KINDS = {
    "datetime": TokenKind.DATETIME,
    "number": TokenKind.NUMBER,
    "string": TokenKind.STRING,
    "constant": TokenKind.CONSTANT,
    "special": TokenKind.SPECIAL,
    "name": TokenKind.NAME,
    "delimited": TokenKind.NAME,
    "symbol": TokenKind.SYMBOL,
}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def tokens(path: str) -> list[Token]:
    """Split a path into tokens, ending with one END token.

    Raises:
        PathError: a character begins no token, or a quotation is not closed.
    """
    found: list[Token] = []
    at = 0
    while at < len(path):
        match = _TOKEN.match(path, at)
        if match is None:
            raise PathError(_complaint(path[at]), at)
        group = match.lastgroup or ""
        if group != "space":
            text = _content(group, match.group(), at)
            found.append(Token(_KINDS[group], text, at, group == "delimited"))
        at = match.end()
    return [*found, Token(TokenKind.END, "", len(path))]


def _complaint(character: str) -> str:
    return {
        "'": "this text is not closed by '",
        "`": "this name is not closed by `",
        "@": "expected a date, dateTime or time after @",
        "%": "expected the name of a constant after %",
        '"': "text is written between single quotes in FHIRPath",
    }.get(character, f"unexpected character {character!r}")


def _content(group: str, text: str, at: int) -> str:
    if group in {"string", "delimited"}:
        return _unescaped(text[1:-1], at)
    if group == "constant":
        name = text[1:]
        return _unescaped(name[1:-1], at + 1) if name[0] in "`'" else name
    return text[1:] if group == "datetime" else text


def _unescaped(text: str, at: int) -> str:
    def replaced(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if code in _ESCAPED or code in "'\"`\\/":
            return _ESCAPED.get(code, code)
        raise PathError(f"unknown escape \\{code}", at + 1 + match.start())

    return _ESCAPE.sub(replaced, text) if "\\" in text else text
