"""FHIR decimals keep their text: the numbers of decimal elements are quoted before any JSON
reader can round them (1.10 would become 1.1, twenty digits a double).

A quote inside a JSON string is escaped, so ``"key":`` followed by a digit is a number of ``key``
or, inside a string, ends in a backslash and is no key we know.
"""

import re

from ecw_pipeline.fhir.structure import decimal_keys

_KEYS = frozenset(key.encode() for key in decimal_keys())
# The key is asked for only where a number follows; most are values, or the line numbers that
# screening adds. A quote that is escaped before it stands inside a longer key.
_BEFORE = b"|".join(
    rb'(?<=[^\\]"%b":)' % key for key in sorted(_KEYS, key=lambda key: (key != b"value", key))
)
_NUMBER = re.compile(
    rb'":(?=[-0-9 \t\r])(?<!"ecw_line":)(?:%b)[ \t\r]*(-?[0-9][0-9.eE+-]*)' % _BEFORE
)
_QUOTED = rb'":"\1"'
# Space before a colon is rare, and costs more.
_SPACED_NUMBER = re.compile(rb'"[ \t\r]*:[ \t\r]*(-?[0-9][0-9.eE+-]*)')
_SPACED_COLON = re.compile(rb" :")


def quote_decimals(lines: bytes) -> bytes:
    """Turn ``"value":1.10`` into ``"value":"1.10"`` for every decimal element of JSON lines.

    Many lines at once cost less than one after the other.
    """
    if b"\t" in lines or b"\r" in lines or _SPACED_COLON.search(lines):
        return _SPACED_NUMBER.sub(_quoted, lines)
    return _NUMBER.sub(_QUOTED, lines)


def _quoted(match: re.Match[bytes]) -> bytes:
    text, end = match.string, match.start()
    start = text.rfind(b'"', 0, end)
    is_known = text[start + 1 : end] in _KEYS and text[start - 1 : start] != b"\\"
    return b'":"' + match[1] + b'"' if is_known else match[0]
