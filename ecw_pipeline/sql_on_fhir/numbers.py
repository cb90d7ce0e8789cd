"""Arithmetic on decimals and integers, in SQL; what overflows is empty, as FHIRPath says.

Source: FHIRPath 2.0, "Math", "Equivalence".
"""

from collections.abc import Callable

from ecw_pipeline.sql_on_fhir.kinds import DECIMAL_SQL


def number(value: str) -> str:
    """A decimal's text, or an integer, as a number to compute with."""
    return f"TRY_CAST({value} AS {DECIMAL_SQL})"


def text(value: str) -> str:
    """A computed decimal as FHIR writes one, without zeros that mean nothing."""
    return f"rtrim(rtrim(CAST({value} AS VARCHAR), '0'), '.')"


def rounded(value: str, digits: str = "0") -> str:
    return f"CAST(round({value}, {digits}) AS {DECIMAL_SQL})"


def product(left: str, right: str) -> str:
    exact = f"TRY(CAST({left} * {right} AS {DECIMAL_SQL}))"
    return f"coalesce({exact}, TRY_CAST(CAST({left} AS DOUBLE) * {right} AS {DECIMAL_SQL}))"


def quotient(left: str, right: str) -> str:
    # DuckDB divides decimals as doubles; FHIRPath asks for eight digits after the point.
    ratio = f"CAST({left} AS DOUBLE) / nullif({right}, 0)"
    return f"TRY_CAST(round({ratio}, 8) AS {DECIMAL_SQL})"


def computed(formula: str) -> Callable[..., str]:
    """A formula over doubles; empty where it has no real value, (-1).sqrt() or 0.ln()."""

    def sql(*values: str) -> str:
        result = formula.format(*(f"CAST({value} AS DOUBLE)" for value in values))
        return f"TRY_CAST(round(TRY({result}), 8) AS {DECIMAL_SQL})"

    return sql


def whole_quotient(left: str, right: str) -> str:
    # A double is exact enough once what is left over is taken away.
    exact = f"CAST({left} - {remainder(left, right)} AS DOUBLE) / {right}"
    return f"TRY_CAST(round({exact}) AS INTEGER)"


def remainder(left: str, right: str) -> str:
    return f"TRY({left} % nullif({right}, 0))"


def equivalent(left: str, right: str) -> str:
    """Equal after rounding to the digits of the one with fewer, as doubles."""

    def digits(value: str) -> str:
        return f"length(split_part({text(value)}, '.', 2))"

    fewer = f"CAST(least({digits(left)}, {digits(right)}) AS INTEGER)"
    return f"(round(CAST({left} AS DOUBLE), {fewer}) = round(CAST({right} AS DOUBLE), {fewer}))"


def equivalent_or_both_empty(left: str, right: str) -> str:
    return f"coalesce({equivalent(left, right)}, {left} IS NULL AND {right} IS NULL)"


def to_number(value: str) -> str:
    """The number a text is, if it is written as FHIRPath writes one."""
    is_number = f"regexp_full_match({value}, '[+-]?[0-9]+(\\.[0-9]+)?')"
    return f"CASE WHEN {is_number} THEN {number(value)} END"


def to_integer(value: str) -> str:
    is_integer = f"regexp_full_match({value}, '[+-]?[0-9]+')"
    return f"CASE WHEN {is_integer} THEN TRY_CAST({value} AS INTEGER) END"


def to_boolean(value: str) -> str:
    return f"CASE {value} WHEN 1 THEN true WHEN 0 THEN false END"
