"""FHIRPath's functions over values already evaluated, for the plain reading: one line or few each.

A function gets the items before its dot and the items of each argument, and gives items. Those
that evaluate an argument per item are in `plain_reading`.

Source: FHIRPath 2.0, "Functions"; SQL on FHIR, "Required Additional Functions".
"""

import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from ecw_pipeline_tests.sql_on_fhir import plain_values as values
from ecw_pipeline_tests.sql_on_fhir.plain_values import Item, boolean, integer

Items = list[Item]


class SeveralError(Exception):
    """Several items where one is expected."""


def one(items: Items) -> Item | None:
    if len(items) > 1:
        raise SeveralError
    return items[0] if items else None


def text(value: str) -> Items:
    return [Item(value, "string")]


def of_texts(function: Callable[..., Items]) -> Callable[..., Items]:
    """Empty as soon as the text or an argument is empty."""

    def called(*collections: Items) -> Items:
        found = [one(items) for items in collections]
        return [] if None in found else function(*(item.value for item in found if item))

    return called


def substring(items: Items, start: Items, length: Items | None = None) -> Items:
    whole, begin, count = one(items), one(start), one(length or [])
    if whole is None or begin is None or not 0 <= begin.value < len(whole.value):
        return []
    end = len(whole.value) if count is None else begin.value + max(count.value, 0)
    return text(whole.value[begin.value : end])


def join(items: Items, separator: Items | None = None) -> Items:
    between = one(separator or [])
    return text((between.value if between else "").join(i.value for i in items)) if items else []


def split(whole: str, separator: str) -> Items:
    return [Item(part, "string") for part in whole.split(separator)]


def replace(whole: str, pattern: str, new: str) -> Items:
    return text(whole.replace(pattern, new))


def replace_matches(whole: str, pattern: str, new: str) -> Items:
    groups = re.sub(r"\$(\d)", r"\\g<\1>", new.replace("\\", r"\\"))
    return text(re.sub(pattern, groups, whole) if pattern else whole)


def matches(whole: str, pattern: str) -> Items:
    return [boolean(re.search(pattern, whole, re.DOTALL) is not None)]


def rounding(how: str) -> Callable[[Items], Items]:
    def called(items: Items) -> Items:
        item = one(items)
        return integer(int(Decimal(item.value).to_integral_value(how))) if item else []

    return called


def round_number(items: Items, digits: Items | None = None) -> Items:
    item, places = one(items), one(digits or [Item(0, "integer")])
    if item is None or places is None:
        return []
    step = Decimal(1).scaleb(-places.value)
    return values.decimal(Decimal(item.value).quantize(step, ROUND_HALF_UP))


def absolute(items: Items) -> Items:
    item = one(items)
    if item is None:
        return []
    return values.decimal(abs(item.value)) if item.kind == "decimal" else integer(abs(item.value))


# Conversions: from one item to a value, or None


def to_integer(item: Item) -> int | None:
    if isinstance(item.value, bool | int):
        return int(item.value)
    if isinstance(item.value, str) and re.fullmatch(r"[+-]?[0-9]+", item.value):
        return int(item.value) if integer(int(item.value)) else None
    return None


def to_decimal(item: Item) -> Decimal | None:
    if isinstance(item.value, bool | int | Decimal):
        return Decimal(item.value)
    if isinstance(item.value, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", item.value):
        return Decimal(item.value)
    return None


def to_boolean(item: Item) -> bool | None:
    value = item.value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return bool(value) if value in (0, 1) else None
    if str(value).lower() in {"true", "t", "yes", "y", "1", "1.0"}:
        return True
    return False if str(value).lower() in {"false", "f", "no", "n", "0", "0.0"} else None


def to_date(item: Item) -> str | None:
    day = str(item.value).partition("T")[0] if item.is_moment else str(item.value)
    return day if "T" not in day and values.moment_parts(day) else None


def to_date_time(item: Item) -> str | None:
    return str(item.value) if values.moment_parts(str(item.value)) else None


def to_time(item: Item) -> str | None:
    found = re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?", str(item.value))
    return str(item.value) if found else None


CONVERSIONS: dict[str, tuple[str, Callable[[Item], Any]]] = {
    "String": ("string", values.text_of),
    "Integer": ("integer", to_integer),
    "Decimal": ("decimal", to_decimal),
    "Boolean": ("boolean", to_boolean),
    "Date": ("date", to_date),
    "DateTime": ("dateTime", to_date_time),
    "Time": ("time", to_time),
}


def conversion(name: str) -> Callable[[Items], Items]:
    kind, convert = CONVERSIONS[name]

    def called(items: Items) -> Items:
        item = one(items)
        value = convert(item) if item else None
        return [] if value is None else [Item(value, kind)]

    return called


def converts(name: str) -> Callable[[Items], Items]:
    def called(items: Items) -> Items:
        return [boolean(bool(conversion(name)(items)))] if one(items) else []

    return called


# Collections


def has(items: Items, item: Item) -> bool:
    return any(values.equal(item, other) for other in items)


def subset(items: Items, others: Items) -> Items:
    return [boolean(all(has(others, item) for item in items))]


def all_are(value: bool) -> Callable[[Items], Items]:
    return lambda items: [boolean(all(item.value is value for item in items))]


def any_is(value: bool) -> Callable[[Items], Items]:
    return lambda items: [boolean(any(item.value is value for item in items))]


def index(argument: Items) -> int:
    item = one(argument)
    return item.value if item else 0


def negation(items: Items) -> Items:
    item = one(items)
    return [boolean(not item.value)] if item else []


def resource_key(items: Items) -> Items:
    return [Item(item.value["id"], "id") for item in items if item.value.get("id")]


def reference_key(items: Items, resource_type: str = "") -> Items:
    keys = [key_of(str(i.value.get("reference") or ""), resource_type) for i in items]
    return [Item(key, "id") for key in keys if key]


def key_of(reference: str, resource_type: str) -> str | None:
    parts = reference.split("/")
    if len(parts) > 3 and parts[-2] == "_history":
        parts = parts[:-2]
    if len(parts) < 2 or not re.fullmatch("[A-Z][A-Za-z]*", parts[-2]):
        return None
    # A relative reference names an id that we were given, even one that breaks the rule for ids.
    is_id = parts[-1] if len(parts) == 2 else re.fullmatch(r"[A-Za-z0-9._-]{1,256}", parts[-1])
    return parts[-1] if is_id and resource_type in {"", parts[-2]} else None


FUNCTIONS: dict[str, Callable[..., Items]] = {
    "empty": lambda items: [boolean(not items)],
    "not": negation,
    "first": lambda items: items[:1],
    "last": lambda items: items[-1:],
    "tail": lambda items: items[1:],
    "skip": lambda items, n: items[max(index(n), 0) :],
    "take": lambda items, n: items[: max(index(n), 0)],
    "single": lambda items: [item] if (item := one(items)) else [],
    "count": lambda items: integer(len(items)),
    "distinct": values.distinct,
    "isDistinct": lambda items: [boolean(len(values.distinct(items)) == len(items))],
    "union": lambda items, others: values.distinct(items + others),
    "combine": lambda items, others: items + others,
    "intersect": lambda items, others: values.distinct([i for i in items if has(others, i)]),
    "exclude": lambda items, others: [item for item in items if not has(others, item)],
    "subsetOf": subset,
    "supersetOf": lambda items, others: subset(others, items),
    "allTrue": all_are(True),
    "allFalse": all_are(False),
    "anyTrue": any_is(True),
    "anyFalse": any_is(False),
    "hasValue": lambda items: [boolean(len(items) == 1 and items[0].kind[0].islower())],
    "join": join,
    "substring": substring,
    "upper": of_texts(lambda whole: text(whole.upper())),
    "lower": of_texts(lambda whole: text(whole.lower())),
    "trim": of_texts(lambda whole: text(whole.strip())),
    "length": of_texts(lambda whole: integer(len(whole))),
    "startsWith": of_texts(lambda whole, part: [boolean(whole.startswith(part))]),
    "endsWith": of_texts(lambda whole, part: [boolean(whole.endswith(part))]),
    "contains": of_texts(lambda whole, part: [boolean(part in whole)]),
    "indexOf": of_texts(lambda whole, part: integer(whole.find(part))),
    "split": of_texts(split),
    "replace": of_texts(replace),
    "matches": of_texts(matches),
    "matchesFull": of_texts(lambda w, p: [boolean(re.fullmatch(p, w, re.DOTALL) is not None)]),
    "replaceMatches": of_texts(replace_matches),
    "abs": absolute,
    "ceiling": rounding(ROUND_CEILING),
    "floor": rounding(ROUND_FLOOR),
    "truncate": rounding(ROUND_DOWN),
    "round": round_number,
    "lowBoundary": lambda items: values.low(item) if (item := one(items)) else [],
    "highBoundary": lambda items: values.high(item) if (item := one(items)) else [],
    "getResourceKey": resource_key,
    **{f"to{name}": conversion(name) for name in CONVERSIONS},
    **{f"convertsTo{name}": converts(name) for name in CONVERSIONS},
}
