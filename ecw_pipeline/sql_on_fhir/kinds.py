"""The kinds a value can have inside the compiler, and the DuckDB type of each.

A kind is the name of a FHIR type, or one of the three that only the compiler has: `NUMBER`
(a computed decimal), `ANYTHING` (the empty collection) and `CHOICE` (``value`` before ofType).

Decimals: a FHIR decimal is its exact text, so its DuckDB type is VARCHAR. To compare or compute
it becomes DECIMAL(38,12): 26 digits before the point and 12 after. FHIRPath asks for 20 and 8;
what does not fit is empty, as FHIRPath says of overflow.
"""

import re
from collections.abc import Iterable

from ecw_pipeline.fhir.structure import PRIMITIVE_TYPES

ANYTHING = "anything"
CHOICE = "choice"
NUMBER = "number"
DECIMAL_SQL = "DECIMAL(38,12)"

INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt", "integer64"})
NUMERIC = INTEGERS | {"decimal", NUMBER}
MOMENTS = frozenset({"date", "dateTime", "instant"})
TEXTS = PRIMITIVE_TYPES - NUMERIC - MOMENTS - {"boolean", "time"}
PRIMITIVES = PRIMITIVE_TYPES | {"integer64", NUMBER}

# How a value is read and held; a column's type may differ, see COLUMN_SQL.
HELD_SQL = {
    "boolean": "BOOLEAN",
    "integer64": "BIGINT",
    NUMBER: DECIMAL_SQL,
    **dict.fromkeys(INTEGERS - {"integer64"}, "INTEGER"),
}
COLUMN_SQL = {**HELD_SQL, "instant": "TIMESTAMP WITH TIME ZONE", NUMBER: "VARCHAR"}

# ANSI's names of types, and the usual short ones, without what may stand in brackets.
_TEXTS_OF_SQL = ("TEXT", "CLOB", "STRING", "CHAR", "VARCHAR", "CHAR VARYING", "NCHAR", "NVARCHAR",
                 "NCHAR VARYING", "CHAR LARGE OBJECT")  # fmt: skip
_SQL_TYPES = {
    **dict.fromkeys(("BOOLEAN", "BOOL"), "BOOLEAN"),
    "TINYINT": "TINYINT",
    **dict.fromkeys(("SMALLINT", "INT2"), "SMALLINT"),
    **dict.fromkeys(("INT", "INTEGER", "INT4"), "INTEGER"),
    **dict.fromkeys(("BIGINT", "INT8"), "BIGINT"),
    "HUGEINT": "HUGEINT",
    **dict.fromkeys(("REAL", "FLOAT4"), "FLOAT"),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DOUBLE PRECISION", "FLOAT8"), "DOUBLE"),
    **dict.fromkeys(("DECIMAL", "NUMERIC", "DEC"), DECIMAL_SQL),
    **dict.fromkeys(_TEXTS_OF_SQL, "VARCHAR"),
    "DATE": "DATE",
    **dict.fromkeys(("TIME", "TIME WITHOUT TIME ZONE"), "TIME"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE"), "TIMESTAMP"),
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"), "TIMESTAMP WITH TIME ZONE"),
    "UUID": "UUID",
}
# DuckDB keeps texts of any length and microseconds whatever is asked for.
_SIZE = re.compile(r"^([A-Z]+(?: VARYING| LARGE OBJECT)?)\s*\(\s*\d{1,9}\s*\)")
_SIZED = {*_TEXTS_OF_SQL, "TIME", "TIMESTAMP", "TIMESTAMPTZ", "FLOAT"}
_FIXED_POINT = re.compile(r"^(?:DECIMAL|NUMERIC|DEC)\s*\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)$")


def family(kind: str) -> str:
    """What a kind can be compared with: number, moment, time, boolean, text, or itself."""
    if kind in NUMERIC:
        return NUMBER
    if kind in MOMENTS:
        return "moment"
    if kind in TEXTS:
        return "text"
    return kind


def shared_family(left: str, right: str) -> str | None:
    """The family two kinds are compared as; text may stand for a date or a time."""
    families = {family(left), family(right)}
    if len(families) == 2:
        families -= {"text"} if families & {"moment", "time"} else set()
    return families.pop() if len(families) == 1 else None


def common_kind(kinds: Iterable[str]) -> str | None:
    """The kind that can hold values of all these; None when there is none."""
    kinds = set(kinds)
    families = {family(kind) for kind in kinds}
    if len(kinds) == 1:
        return kinds.pop()
    if len(families) != 1:
        return None
    if kinds <= INTEGERS:
        return "integer64" if "integer64" in kinds else "integer"
    return {NUMBER: NUMBER, "moment": "dateTime", "text": "string"}.get(families.pop())


def held_sql(kind: str) -> str:
    """The DuckDB type a primitive is read and held as."""
    return HELD_SQL.get(kind, "VARCHAR")


def column_sql(kind: str) -> str:
    """The DuckDB type of a column of this FHIR type; complex types are JSON text."""
    if kind in PRIMITIVES or kind == ANYTHING:
        return COLUMN_SQL.get(kind, "VARCHAR")
    return "JSON"


def requested_sql(text: str) -> str | None:
    """The DuckDB type an ``ansi/type`` tag asks for; None when it is not one we write."""
    name = " ".join(text.upper().split())
    if match := _FIXED_POINT.match(name):
        precision, scale = int(match.group(1)), int(match.group(2) or 0)
        return f"DECIMAL({precision},{scale})" if scale <= precision <= 38 and precision else None
    name = name.replace("NATIONAL CHAR", "NCHAR", 1).replace("CHARACTER", "CHAR", 1)
    match = _SIZE.match(name)
    if match and match.group(1) in _SIZED:
        name = match.group(1) + name[match.end() :]
    return _SQL_TYPES.get(name)
