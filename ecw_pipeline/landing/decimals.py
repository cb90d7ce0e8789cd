"""FHIR decimals keep their text: the numbers of decimal elements are quoted before any JSON
reader can round them (1.10 would become 1.1, twenty digits a double).

A quote inside a JSON string is escaped, so ``"key":`` followed by a digit is a number of ``key``
or, inside a string, ends in a backslash and is no key we know.
"""

import re

from ecw_pipeline.fhir.structure import decimal_keys

_KEYS = frozenset(key.encode() for key in decimal_keys())
# Fast because it starts with two fixed bytes; the spaced form is rare and costs more.
_NUMBER = re.compile(rb'":[ \t\r]*(-?[0-9][0-9.eE+-]*)')
_SPACED_NUMBER = re.compile(rb'"[ \t\r]*:[ \t\r]*(-?[0-9][0-9.eE+-]*)')
_SPACE_AFTER_QUOTE = (b'" ', b'"\t', b'"\r')


def quote_decimals(line: bytes) -> bytes:
    """Turn ``"value":1.10`` into ``"value":"1.10"`` for every decimal element of a line."""
    is_spaced = any(mark in line for mark in _SPACE_AFTER_QUOTE)
    return (_SPACED_NUMBER if is_spaced else _NUMBER).sub(_quoted, line)


def _quoted(match: re.Match[bytes]) -> bytes:
    text, end = match.string, match.start()
    start = text.rfind(b'"', 0, end)
    # A quote that is escaped stands inside a longer key.
    is_known = text[start + 1 : end] in _KEYS and text[start - 1 : start] != b"\\"
    return b'":"' + match[1] + b'"' if is_known else match[0]
