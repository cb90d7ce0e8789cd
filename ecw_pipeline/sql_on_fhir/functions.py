"""The FHIRPath functions and operators that are plain SQL: one row each.

A row says what each argument must be, what comes out, and the SQL. Argument 0 is what stands
before the dot. Functions that look at syntax or types (``where``, ``ofType``) are in
``special_forms``. SQL here follows FHIRPath's rule that an empty argument gives empty.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ecw_pipeline.sql_on_fhir import boundaries, lists, moments, numbers, references, texts
from ecw_pipeline.sql_on_fhir.kinds import DECIMAL_SQL, NUMBER

SAME = "same"  # the kind of argument 0
ANY = "any"
TEXT = "text"
BOOLEAN = "boolean"
PATTERN = "pattern"
DIGITS = "digits"


@dataclass(frozen=True)
class Function:
    """One row.

    Args:
        takes: for each argument, the family it must be of (see `kinds.family`), or `ANY`,
            a `PATTERN`, or `DIGITS` written in the path; a trailing ``*`` means it is wanted
            as a list.
        gives: the kind that comes out, or `SAME`; a trailing ``*`` means a list.
        sql: from the arguments' SQL to the result's.
        least: how many arguments must be given; the others are left out.
        repeats: the SQL uses an argument more than once, so long ones are bound to a name.
        of_nothing: what comes out when nothing stands before the dot; None is nothing.
    """

    takes: tuple[str, ...]
    gives: str
    sql: Callable[..., str]
    least: int = -1
    repeats: bool = False
    of_nothing: bool | int | None = None

    @property
    def fewest(self) -> int:
        return len(self.takes) if self.least < 0 else self.least

    @property
    def kind(self) -> str:
        return self.gives.rstrip("*")

    @property
    def gives_many(self) -> bool:
        return self.gives.endswith("*")


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
    "count": Function(("any*",), "integer", "CAST(coalesce(len({0}), 0) AS INTEGER)".format,
                      of_nothing=0),
    "allTrue": Function(("boolean*",), BOOLEAN, "coalesce(list_bool_and({0}), true)".format,
                        of_nothing=True),
    "anyTrue": Function(("boolean*",), BOOLEAN, "coalesce(list_bool_or({0}), false)".format,
                        of_nothing=False),
    "allFalse": Function(("boolean*",), BOOLEAN, "(NOT coalesce(list_bool_or({0}), false))".format,
                         of_nothing=True),
    "anyFalse": Function(("boolean*",), BOOLEAN, "(NOT coalesce(list_bool_and({0}), true))".format,
                         of_nothing=False),
    "join": Function(("text*", TEXT), "string", texts.join, least=1, repeats=True),
    # Text
    "upper": Function((TEXT,), "string", "upper({0})".format),
    "lower": Function((TEXT,), "string", "lower({0})".format),
    "trim": Function((TEXT,), "string", "trim({0}, ' \t\r\n')".format),
    "length": Function((TEXT,), "integer", "CAST(length({0}) AS INTEGER)".format),
    "substring": Function((TEXT, NUMBER, NUMBER), "string", texts.substring, least=2, repeats=True),
    "startsWith": Function((TEXT, TEXT), BOOLEAN, "starts_with({0}, {1})".format),
    "endsWith": Function((TEXT, TEXT), BOOLEAN, "ends_with({0}, {1})".format),
    "contains": Function((TEXT, TEXT), BOOLEAN, "contains({0}, {1})".format),
    "indexOf": Function((TEXT, TEXT), "integer", "CAST(strpos({0}, {1}) - 1 AS INTEGER)".format),
    "matches": Function((TEXT, PATTERN), BOOLEAN, "regexp_matches({0}, {1}, 's')".format),
    "matchesFull": Function((TEXT, PATTERN), BOOLEAN, "regexp_full_match({0}, {1}, 's')".format),
    "replace": Function((TEXT, TEXT, TEXT), "string", texts.replace, repeats=True),
    "replaceMatches": Function((TEXT, PATTERN, TEXT), "string", texts.replace_matches),
    "split": Function((TEXT, TEXT), "string*", "str_split({0}, {1})".format),
    "toChars": Function((TEXT,), "string*", "regexp_extract_all({0}, '(?s).')".format),
    # Numbers
    "abs": Function((NUMBER,), SAME, "TRY(abs({0}))".format),
    "ceiling": Function((NUMBER,), "integer", "TRY_CAST(ceil({0}) AS INTEGER)".format),
    "floor": Function((NUMBER,), "integer", "TRY_CAST(floor({0}) AS INTEGER)".format),
    "truncate": Function((NUMBER,), "integer", "TRY_CAST(trunc({0}) AS INTEGER)".format),
    "round": Function((NUMBER, DIGITS), NUMBER, numbers.rounded, least=1),
    "sqrt": Function((NUMBER,), NUMBER, numbers.computed("sqrt({0})")),
    "exp": Function((NUMBER,), NUMBER, numbers.computed("exp({0})")),
    "ln": Function((NUMBER,), NUMBER, numbers.computed("ln({0})")),
    "log": Function((NUMBER, NUMBER), NUMBER, numbers.computed("ln({0}) / nullif(ln({1}), 0)")),
    "power": Function((NUMBER, NUMBER), NUMBER, numbers.computed("pow({0}, {1})")),
}  # fmt: skip

# What the resolver writes itself; not callable from a path.
OPERATORS: dict[str, Function] = {
    "single": Function((), SAME, "{0}".format),  # needs the column's name: see the emitter
    "only": Function((), SAME, "{0}".format),  # so does this
    "list_of_one": Function((), "same*", "CASE WHEN {0} IS NULL THEN [] ELSE [{0}] END".format,
                            repeats=True),
    "alone": Function((), "same*", "[{0}]".format),  # also a NULL, which keeps its place
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
    "all =": Function((), BOOLEAN, lists.equal, repeats=True),
    "all moments =": Function((), BOOLEAN, lists.pairwise(moments.equal), repeats=True),
    "~": Function((), BOOLEAN, "({0} IS NOT DISTINCT FROM {1})".format),
    "numbers ~": Function((), BOOLEAN, numbers.equivalent_or_both_empty, repeats=True),
    "all ~": Function((), BOOLEAN, lists.equivalent),
    "all numbers ~": Function((), BOOLEAN, lists.equivalent_numbers, repeats=True),
    "folded": Function((), "string", texts.folded),
    "+": Function((), NUMBER, "TRY({0} + {1})".format),
    "-": Function((), NUMBER, "TRY({0} - {1})".format),
    "*": Function((), NUMBER, numbers.product, repeats=True),
    "whole *": Function((), "integer", "TRY({0} * {1})".format),
    "/": Function((), NUMBER, numbers.quotient),
    "div": Function((), "integer", numbers.whole_quotient, repeats=True),
    "mod": Function((), NUMBER, numbers.remainder),
    "negative": Function((), SAME, "TRY(-{0})".format),
    "concatenated": Function((), "string", "({0} || {1})".format),
    "&": Function((), "string", "(coalesce({0}, '') || coalesce({1}, ''))".format),
    "combine": Function((), "same*", "list_concat({0}, {1})".format),
    "distinct": Function((), "same*", lists.distinct, repeats=True),
    "distinct number": Function((), "same*", lists.distinct_by(numbers.number), repeats=True),
    "distinct moment": Function((), "same*", lists.distinct_by(moments.comparable), repeats=True),
    "distinct time": Function((), "same*", lists.distinct_by(moments.time), repeats=True),
    "same_count": Function((), BOOLEAN, "(coalesce(len({0}), 0) = coalesce(len({1}), 0))".format),
    "has": Function((), BOOLEAN, lists.has, repeats=True),
    "at": Function((), SAME, lists.item, repeats=True),
    "coalesce": Function((), SAME, lambda *forms: f"coalesce({', '.join(forms)})"),
    "if": Function((), SAME, "CASE WHEN {0} THEN {1} ELSE {2} END".format),
    "all_of": Function((), BOOLEAN, "coalesce(list_bool_and({0}), true)".format),
    "resource_of": Function((), SAME, "CASE WHEN {0} ->> '$.resourceType' = {1} THEN {0} END"
                            .format, repeats=True),
    "one_value": Function((), BOOLEAN, "coalesce(len({0}) = 1, false)".format),
    # From one way of holding a value to another
    "text of number": Function((), "string", numbers.text),
    "text": Function((), "string", "CAST({0} AS VARCHAR)".format),
    "number": Function((), NUMBER, numbers.number),
    "moment": Function((), "string", moments.comparable, repeats=True),
    "time": Function((), "time", moments.time),
    # Conversions
    "as it is": Function((), SAME, "{0}".format),
    "integer of boolean": Function((), "integer", "CAST({0} AS INTEGER)".format),
    "integer of text": Function((), "integer", numbers.to_integer, repeats=True),
    "number of boolean": Function((), NUMBER, f"CAST(CAST({{0}} AS INTEGER) AS {DECIMAL_SQL})"
                                  .format),
    "number of text": Function((), NUMBER, numbers.to_number, repeats=True),
    "boolean of number": Function((), BOOLEAN, numbers.to_boolean),
    "boolean of text": Function((), BOOLEAN, texts.to_boolean, repeats=True),
    "date of moment": Function((), "date", moments.date_part, repeats=True),
    "date of text": Function((), "date", moments.to_date, repeats=True),
    "dateTime of text": Function((), "dateTime", moments.to_date_time, repeats=True),
    "time of text": Function((), "time", moments.to_time, repeats=True),
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
