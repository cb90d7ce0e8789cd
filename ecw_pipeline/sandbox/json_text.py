"""JSON lines in which a decimal keeps its exact text: ``7.10`` stays ``7.10``."""

import json
import re
from decimal import Decimal
from typing import Any

# The standard encoder cannot write a Decimal, so it writes a marked string and the marks
# are taken away afterwards. The mark is a private-use character no clinical text holds.
_MARK = "\ue000"
_MARKED = re.compile(f'"{_MARK}(-?[0-9][0-9.Ee+-]*){_MARK}"')


def _mark_decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value}{_MARK}"
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_mark_decimal).encode


def to_line(resource: Any) -> bytes:
    """Write one resource as one NDJSON line, newline included."""
    text = _encode(resource)
    if _MARK in text:
        text = _MARKED.sub(r"\1", text)
    return text.encode() + b"\n"


def from_line(line: bytes) -> Any:
    """Read one NDJSON line such that `to_line` writes its numbers back as they were."""
    return json.loads(line, parse_float=Decimal)
