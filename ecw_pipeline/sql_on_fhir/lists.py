"""Functions on lists that SQL has not as FHIRPath means them; a NULL list is empty.

Source: FHIRPath 2.0, "Subsetting", "Equality".
"""

from collections.abc import Callable

from ecw_pipeline.sql_on_fhir import numbers

Equality = Callable[[str, str], str]


def item(items: str, position: str) -> str:
    found = f"{items}[{position} + 1]"
    return found if position.isdigit() else f"CASE WHEN {position} >= 0 THEN {found} END"


def distinct(items: str) -> str:
    # list_distinct would lose the order.
    return f"list_filter({items}, lambda v, n: list_position({items}, v) = n)"


def distinct_by(form: Callable[[str], str]) -> Callable[[str], str]:
    """Distinct by the form in which equal values are equal in SQL."""

    def sql(items: str) -> str:
        forms = f"list_transform({items}, lambda f: {form('f')})"
        return f"list_filter({items}, lambda v, n: list_position({forms}, {form('v')}) = n)"

    return sql


def has(items: str, value: str) -> str:
    found = f"coalesce(list_contains({items}, {value}), false)"
    return f"CASE WHEN {value} IS NOT NULL THEN {found} END"


def equal(left: str, right: str) -> str:
    return f"CASE WHEN len({left}) > 0 AND len({right}) > 0 THEN {left} = {right} END"


def pairwise(is_equal: Equality) -> Equality:
    """Equal in all pairs: the least of false (0), unknown (1) and true (2)."""

    def sql(left: str, right: str) -> str:
        pairs = f"list_transform({left}, lambda v, n: {is_equal('v', right + '[n]')})"
        degrees = f"list_transform({pairs}, lambda p: coalesce(CAST(p AS TINYINT) * 2, 1))"
        return (
            f"CASE WHEN len({left}) = len({right}) AND len({left}) > 0 "
            f"THEN CASE list_min({degrees}) WHEN 2 THEN true WHEN 0 THEN false END "
            f"WHEN len({left}) > 0 AND len({right}) > 0 THEN false END"
        )

    return sql


def equivalent(left: str, right: str) -> str:
    return f"({_sorted(left)} = {_sorted(right)})"


def equivalent_numbers(left: str, right: str) -> str:
    same = numbers.equivalent("v", f"{_sorted(right)}[n]")
    pairs = f"list_transform({_sorted(left)}, lambda v, n: {same})"
    is_same = f"coalesce(list_bool_and({pairs}), true)"
    return f"(len({_sorted(left)}) = len({_sorted(right)}) AND {is_same})"


def _sorted(items: str) -> str:
    return f"list_sort(coalesce({items}, []))"
