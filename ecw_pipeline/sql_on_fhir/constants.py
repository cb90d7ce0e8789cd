"""A view's constants: which FHIR type each is of, and whether its value is one of that type.

Numbers and booleans written as text, which some tools do, are read as what they say.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ecw_pipeline.sql_on_fhir.kinds import INTEGERS, NUMBER, PRIMITIVES
from ecw_pipeline.sql_on_fhir.literals import exists

_DATE = r"\d{4}(-\d{2}(-\d{2})?)?"
_TIME = r"\d{2}:\d{2}:\d{2}(\.\d+)?"
_ZONE = r"(Z|[+-]\d{2}:\d{2})"
_PATTERNS = {
    "decimal": re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?"),
    "date": re.compile(_DATE),
    "dateTime": re.compile(rf"{_DATE}|\d{{4}}-\d{{2}}-\d{{2}}T{_TIME}{_ZONE}?"),
    "instant": re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}T{_TIME}{_ZONE}"),
    "time": re.compile(_TIME),
}
_INTEGER = re.compile(r"[+-]?\d{1,19}")
# The least of those integers that have one other than their size; R4, "Primitive Types".
_LEAST = {"positiveInt": 1, "unsignedInt": 0}


# What % already means in every view.
OWN_NAMES = frozenset({"resource", "rootResource", "context", "rowIndex"})


class ConstantError(Exception):
    """Raised with what is wrong; becomes a problem where its place in the view is known."""


@dataclass(frozen=True)
class Constant:
    """``%name``: its FHIR type and its value as text, or a bool or an int."""

    name: str
    fhir_type: str
    value: str | bool | int


def read_constant(name: str, key: str, value: Any) -> Constant:
    """A constant from ``valueCode`` and what stands under it.

    Raises:
        ConstantError: the value is not of its type, or the name is taken.
    """
    if name in OWN_NAMES:
        raise ConstantError(f"%{name} has a meaning already: rename the constant")
    kind = key.removeprefix("value")
    kind = kind[:1].lower() + kind[1:]
    if kind not in PRIMITIVES - {NUMBER}:
        raise ConstantError(f"{key} is not a primitive type of FHIR")
    read = _READERS.get(kind, _text)
    found = read(value, kind)
    if found is None:
        raise ConstantError(f"constant {name} is no {kind}: {str(value)[:40]!r}")
    return Constant(name, kind, found)


def _integer(value: Any, kind: str) -> int | None:
    if isinstance(value, bool) or not _INTEGER.fullmatch(str(value)):
        return None
    bits = 63 if kind == "integer64" else 31
    return int(value) if _LEAST.get(kind, -(2**bits)) <= int(value) < 2**bits else None


def _boolean(value: Any, _: str) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))


def _decimal(value: Any, kind: str) -> str | None:
    is_number = isinstance(value, int | float | Decimal | str) and not isinstance(value, bool)
    return _patterned(str(value), kind) if is_number else None


def _patterned(value: Any, kind: str) -> str | None:
    is_such = isinstance(value, str) and _PATTERNS[kind].fullmatch(value)
    return value if is_such else None


def _moment(value: Any, kind: str) -> str | None:
    """A date or time as written, if there is one."""
    text = _patterned(value, kind)
    if text is None:
        return None
    day, _, clock = ("", "", text) if kind == "time" else text.partition("T")
    return text if exists(day, clock) else None


def _text(value: Any, _: str) -> str | None:
    return value if isinstance(value, str) else None


_READERS: dict[str, Callable[[Any, str], str | bool | int | None]] = {
    **dict.fromkeys(_PATTERNS, _moment),
    **dict.fromkeys(INTEGERS, _integer),
    "boolean": _boolean,
    "decimal": _decimal,
}
