"""The FHIRPath functions and operators that are plain SQL: one row each.

A row says what each argument must be, what comes out, and the SQL. Argument 0 is what stands
before the dot. Functions that look at syntax or types (``where``, ``ofType``) are in
``special_forms``. SQL here follows FHIRPath's rule that an empty argument gives empty.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ecw_pipeline.sql_on_fhir import boundaries, moments, references
from ecw_pipeline.sql_on_fhir.kinds import DECIMAL_SQL, NUMBER

SAME = "same"  # the kind of argument 0
ANY = "any"
TEXT = "text"
BOOLEAN = "boolean"


@dataclass(frozen=True)
class Function:
    """One row.

    Args:
        takes: for each argument, the family it must be of (see `kinds.family`), or `ANY`;
            a trailing ``*`` means it is wanted as a list.
        gives: the kind that comes out, or `SAME`; a trailing ``*`` means a list.
        sql: from the arguments' SQL to the result's.
        least: how many arguments must be given; the others are left out.
        repeats: the SQL uses an argument more than once, so long ones are bound to a name.
    """

    takes: tuple[str, ...]
    gives: str
    sql: Callable[..., str]
    least: int = -1
    repeats: bool = False

    @property
    def fewest(self) -> int:
        return len(self.takes) if self.least < 0 else self.least

    @property
    def kind(self) -> str:
        return self.gives.rstrip("*")

    @property
    def gives_many(self) -> bool:
        return self.gives.endswith("*")


def number_text(sql: str) -> str:
    """A computed decimal as FHIR writes one, without zeros that mean nothing."""
    return f"rtrim(rtrim(CAST({sql} AS VARCHAR), '0'), '.')"


def _substring(text: str, start: str, length: str = "") -> str:
    cut = f"substring({text}, {start} + 1{', greatest(' + length + ', 0)' if length else ''})"
    return f"CASE WHEN {start} >= 0 AND {start} < length({text}) THEN {cut} END"


def _distinct(items: str) -> str:
    # list_distinct would lose the order.
    return f"list_filter({items}, lambda v, n: list_position({items}, v) = n)"


def _join(items: str, separator: str = "''") -> str:
    return f"CASE WHEN len({items}) > 0 THEN array_to_string({items}, {separator}) END"


def _rounded(number: str, digits: str = "0") -> str:
    return f"CAST(round({number}, {digits}) AS {DECIMAL_SQL})"


def _product(left: str, right: str) -> str:
    exact = f"TRY(CAST({left} * {right} AS {DECIMAL_SQL}))"
    return f"coalesce({exact}, TRY_CAST(CAST({left} AS DOUBLE) * {right} AS {DECIMAL_SQL}))"


def _quotient(left: str, right: str) -> str:
    # DuckDB divides decimals as doubles; FHIRPath asks for eight digits after the point.
    ratio = f"CAST({left} AS DOUBLE) / nullif({right}, 0)"
    return f"TRY_CAST(round({ratio}, 8) AS {DECIMAL_SQL})"


def _to_boolean(text: str) -> str:
    return (
        f"CASE WHEN lower({text}) IN ('true', 't', 'yes', 'y', '1', '1.0') THEN true"
        f" WHEN lower({text}) IN ('false', 'f', 'no', 'n', '0', '0.0') THEN false END"
    )


FUNCTIONS: dict[str, Function] = {
    # Collections
    "first": Function(("any*",), SAME, "{0}[1]".format),
    "last": Function(("any*",), SAME, "{0}[-1]".format),
    "tail": Function(("any*",), "same*", "{0}[2:]".format),
    "skip": Function(
        ("any*", NUMBER), "same*", "CASE WHEN {1} > 0 THEN {0}[{1} + 1:] ELSE {0} END".format,
        repeats=True,
    ),
    "take": Function(
        ("any*", NUMBER), "same*", "CASE WHEN {1} > 0 THEN {0}[1:{1}] ELSE [] END".format,
        repeats=True,
    ),
    "count": Function(("any*",), "integer", "CAST(coalesce(len({0}), 0) AS INTEGER)".format),
    "distinct": Function(("any*",), "same*", _distinct, repeats=True),
    "isDistinct": Function(
        ("any*",), BOOLEAN, "coalesce(len({0}) = len(list_distinct({0})), true)".format,
        repeats=True,
    ),
    "allTrue": Function(("boolean*",), BOOLEAN, "coalesce(list_bool_and({0}), true)".format),
    "anyTrue": Function(("boolean*",), BOOLEAN, "coalesce(list_bool_or({0}), false)".format),
    "allFalse": Function(("boolean*",), BOOLEAN, "NOT coalesce(list_bool_or({0}), false)".format),
    "anyFalse": Function(("boolean*",), BOOLEAN, "NOT coalesce(list_bool_and({0}), true)".format),
    "join": Function(("text*", TEXT), "string", _join, least=1, repeats=True),
    # Text
    "upper": Function((TEXT,), "string", "upper({0})".format),
    "lower": Function((TEXT,), "string", "lower({0})".format),
    "trim": Function((TEXT,), "string", "trim({0}, ' \t\r\n')".format),
    "length": Function((TEXT,), "integer", "CAST(length({0}) AS INTEGER)".format),
    "substring": Function((TEXT, NUMBER, NUMBER), "string", _substring, least=2, repeats=True),
    "startsWith": Function((TEXT, TEXT), BOOLEAN, "starts_with({0}, {1})".format),
    "endsWith": Function((TEXT, TEXT), BOOLEAN, "ends_with({0}, {1})".format),
    "contains": Function((TEXT, TEXT), BOOLEAN, "contains({0}, {1})".format),
    "indexOf": Function((TEXT, TEXT), "integer", "CAST(strpos({0}, {1}) - 1 AS INTEGER)".format),
    "matches": Function((TEXT, TEXT), BOOLEAN, "regexp_matches({0}, {1}, 's')".format),
    "matchesFull": Function((TEXT, TEXT), BOOLEAN, "regexp_full_match({0}, {1}, 's')".format),
    "replace": Function((TEXT, TEXT, TEXT), "string", "replace({0}, {1}, {2})".format),
    "replaceMatches": Function(
        (TEXT, TEXT, TEXT), "string", "regexp_replace({0}, {1}, {2}, 'g')".format
    ),
    "split": Function((TEXT, TEXT), "string*", "str_split({0}, {1})".format),
    # Numbers
    "abs": Function((NUMBER,), SAME, "abs({0})".format),
    "ceiling": Function((NUMBER,), "integer", "TRY_CAST(ceil({0}) AS INTEGER)".format),
    "floor": Function((NUMBER,), "integer", "TRY_CAST(floor({0}) AS INTEGER)".format),
    "truncate": Function((NUMBER,), "integer", "TRY_CAST(trunc({0}) AS INTEGER)".format),
    "round": Function((NUMBER, NUMBER), NUMBER, _rounded, least=1),
    # Conversions: the resolver hands over the text of any primitive
    "toString": Function(("string",), "string", "{0}".format),
    "toInteger": Function(
        ("string",), "integer",
        "CASE WHEN {0} = 'true' THEN 1 WHEN {0} = 'false' THEN 0 "
        "WHEN regexp_full_match({0}, '[+-]?\\d+') THEN TRY_CAST({0} AS INTEGER) END".format,
        repeats=True,
    ),
    "toDecimal": Function(
        ("string",), NUMBER,
        ("CASE WHEN {0} = 'true' THEN 1 WHEN {0} = 'false' THEN 0 "
        "ELSE TRY_CAST({0} AS " + DECIMAL_SQL + ") END").format,
        repeats=True,
    ),
    "toBoolean": Function(("string",), BOOLEAN, _to_boolean, repeats=True),
    "toDate": Function(("string",), "date", moments.to_date, repeats=True),
    "toDateTime": Function(("string",), "dateTime", moments.to_date_time, repeats=True),
    "toTime": Function(("string",), "time", moments.to_time, repeats=True),
}  # fmt: skip

# What the resolver writes itself; not callable from a path.
OPERATORS: dict[str, Function] = {
    "single": Function((), SAME, "{0}".format),  # needs the column's name: see the emitter
    "list_of_one": Function((), "same*", "CASE WHEN {0} IS NULL THEN [] ELSE [{0}] END".format,
                            repeats=True),
    "exists_one": Function((), BOOLEAN, "({0} IS NOT NULL)".format),
    "exists_many": Function((), BOOLEAN, "coalesce(len({0}) > 0, false)".format),
    "not": Function((), BOOLEAN, "(NOT {0})".format),
    "and": Function((), BOOLEAN, "({0} AND {1})".format),
    "or": Function((), BOOLEAN, lambda *tests: f"({' OR '.join(tests)})"),
    "xor": Function((), BOOLEAN, "({0} <> {1})".format),
    "implies": Function((), BOOLEAN, "(NOT {0} OR {1})".format),
    "=": Function((), BOOLEAN, "({0} = {1})".format),
    "<": Function((), BOOLEAN, "({0} < {1})".format),
    "<=": Function((), BOOLEAN, "({0} <= {1})".format),
    ">": Function((), BOOLEAN, "({0} > {1})".format),
    ">=": Function((), BOOLEAN, "({0} >= {1})".format),
    "moment =": Function((), BOOLEAN, moments.equal, repeats=True),
    "moment <": Function((), BOOLEAN, moments.before, repeats=True),
    "moment <=": Function((), BOOLEAN, moments.before_or_at, repeats=True),
    "many = one": Function(
        (), BOOLEAN,
        "CASE WHEN {1} IS NULL THEN NULL WHEN len({0}) > 1 THEN false "
        "ELSE {0}[1] = {1} END".format, repeats=True,
    ),
    "many = many": Function(
        (), BOOLEAN,
        "CASE WHEN len({0}) > 0 AND len({1}) > 0 THEN {0} = {1} END".format, repeats=True,
    ),
    "equivalent": Function((), BOOLEAN, "({0} IS NOT DISTINCT FROM {1})".format),
    "equivalent moment": Function(
        (), BOOLEAN,
        lambda a, b: f"CASE WHEN {a} IS NULL OR {b} IS NULL THEN {a} IS NULL AND {b} IS NULL "
        f"ELSE coalesce({moments.equal(a, b)}, false) END",
        repeats=True,
    ),
    "folded": Function((), "string", "lower(trim(regexp_replace({0}, '\\s+', ' ', 'g')))".format),
    "+": Function((), NUMBER, "TRY({0} + {1})".format),
    "-": Function((), NUMBER, "TRY({0} - {1})".format),
    "*": Function((), NUMBER, _product, repeats=True),
    "/": Function((), NUMBER, _quotient),
    "div": Function((), "integer", "TRY_CAST(trunc({0} / nullif({1}, 0)) AS INTEGER)".format),
    "mod": Function((), NUMBER, "({0} % nullif({1}, 0))".format),
    "negative": Function((), SAME, "(-{0})".format),
    "concatenated": Function((), "string", "({0} || {1})".format),
    "&": Function((), "string", "(coalesce({0}, '') || coalesce({1}, ''))".format),
    "combine": Function((), "same*", "list_concat({0}, {1})".format),
    "has": Function((), BOOLEAN,
                    "CASE WHEN {1} IS NOT NULL THEN coalesce(list_contains({0}, {1}), false) END"
                    .format, repeats=True),
    "at": Function((), SAME, "{0}[{1} + 1]".format),
    "coalesce": Function((), SAME, lambda *forms: f"coalesce({', '.join(forms)})"),
    "if": Function((), SAME, "CASE WHEN {0} THEN {1} ELSE {2} END".format),
    "all_of": Function((), BOOLEAN, "coalesce(list_bool_and({0}), true)".format),
    "resource_of": Function((), SAME, "CASE WHEN {0} ->> '$.resourceType' = {1} THEN {0} END"
                            .format, repeats=True),
    # From one way of holding a value to another
    "text of number": Function((), "string", number_text, repeats=False),
    "text": Function((), "string", "CAST({0} AS VARCHAR)".format),
    "number": Function((), NUMBER, f"TRY_CAST({{0}} AS {DECIMAL_SQL})".format),
    "integer64": Function((), "integer64", "CAST({0} AS BIGINT)".format),
    "time": Function((), "time", "TRY_CAST({0} AS TIME)".format),
    "instant": Function((), "instant", "TRY_CAST({0} AS TIMESTAMP WITH TIME ZONE)".format),
    # References
    "reference_key": Function((), "id", references.key, repeats=True),
    "reference_key_to": Function((), "id", references.key_to, repeats=True),
    # Boundaries
    "low number": Function((), NUMBER, boundaries.low_number, repeats=True),
    "high number": Function((), NUMBER, boundaries.high_number, repeats=True),
    "low date": Function((), "date", boundaries.low_date, repeats=True),
    "high date": Function((), "date", boundaries.high_date, repeats=True),
    "low dateTime": Function((), "dateTime", boundaries.low_date_time, repeats=True),
    "high dateTime": Function((), "dateTime", boundaries.high_date_time, repeats=True),
    "low time": Function((), "time", boundaries.low_time, repeats=True),
    "high time": Function((), "time", boundaries.high_time, repeats=True),
}  # fmt: skip
