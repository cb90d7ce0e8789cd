"""What the plain reading knows of single values: equal, before, text, number, boundaries.

Source: FHIRPath 2.0, "Equality", "Comparison", "Conversion"; times without an offset are in UTC.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ecw_pipeline_tests.sql_on_fhir.plain_types import INTEGERS, MOMENTS

LARGEST_INTEGER = 2**31 - 1
DATE = r"\d{4}(-\d{2}(-\d{2})?)?"
TIME = r"\d{2}:\d{2}:\d{2}(\.\d+)?"
OFFSET = r"(Z|[+-]\d{2}:\d{2})"


@dataclass(frozen=True)
class Item:
    """One node: a JSON value of a FHIR type; ``beside`` is what stands under ``_name``."""

    value: Any
    kind: str
    beside: Any = None
    is_choice: bool = False

    @property
    def is_number(self) -> bool:
        return self.kind in INTEGERS or self.kind == "decimal"

    @property
    def is_moment(self) -> bool:
        return self.kind in MOMENTS


def item_of(value: Any, kind: str, beside: Any = None, is_choice: bool = False) -> Item:
    if kind == "decimal" and value is not None:
        value = Decimal(str(value))
    if kind == "integer64":
        value = int(value)  # JSON has it as text
    return Item(value, kind, beside, is_choice)


def boolean(value: bool) -> Item:
    return Item(value, "boolean")


def integer(value: int) -> list[Item]:
    fits = -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER
    return [Item(value, "integer")] if fits else []


def decimal(value: Decimal) -> list[Item]:
    rounded = value.quantize(Decimal("1e-12"), ROUND_HALF_UP) if abs(value) < 10**26 else None
    return [] if rounded is None else [Item(rounded, "decimal")]


def moment_parts(text: str) -> list[Any] | None:
    """Year, month, day, hour, minute, seconds, as far as the text goes; None for no moment."""
    if re.fullmatch(DATE, text):
        parts = [int(part) for part in text.split("-")]
        return parts if is_day(*parts) else None
    match = re.fullmatch(rf"({DATE})T({TIME}){OFFSET}?", text)
    if match is None or len(match[1]) != 10:
        return None
    clock = match[4].split(".")
    try:
        at = datetime.fromisoformat(f"{match[1]}T{clock[0]}{match[6] or 'Z'}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    seconds = Decimal(f"{at.second}.{(clock[1] if len(clock) > 1 else '0')[:6]}")
    return [at.year, at.month, at.day, at.hour, at.minute, seconds]


def is_day(year: int, month: int = 1, day: int = 1) -> bool:
    return year > 0 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


def order_of_moments(left: str, right: str) -> int | None:
    """-1, 0 or 1; None when one is less precise than the other needs."""
    a, b = moment_parts(left), moment_parts(right)
    if a is None or b is None:
        return None
    for x, y in zip(a, b, strict=False):
        if x != y:
            return -1 if x < y else 1
    return 0 if len(a) == len(b) else None


def order(left: Item, right: Item) -> int | None:
    if left.is_moment or right.is_moment:
        return order_of_moments(left.value, right.value)
    a, b = left.value, right.value
    return 0 if a == b else -1 if a < b else 1


def equal(left: Item, right: Item) -> bool | None:
    if left.is_moment or right.is_moment:
        if left.value == right.value:
            return True
        found = order_of_moments(left.value, right.value)
        return None if found is None else found == 0
    return bool(left.value == right.value)


def equal_all(left: list[Item], right: list[Item]) -> bool | None:
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    found = [equal(a, b) for a, b in zip(left, right, strict=True)]
    return False if False in found else None if None in found else True


def equivalent(left: Item, right: Item) -> bool:
    if left.is_number and right.is_number:
        places = min(places_of(left.value), places_of(right.value))
        return rounded(left.value, places) == rounded(right.value, places)
    if left.is_moment or right.is_moment:
        return equal(left, right) is True
    if isinstance(left.value, str) and isinstance(right.value, str):
        return folded(left.value) == folded(right.value)
    return equal(left, right) is True


def equivalent_all(left: list[Item], right: list[Item]) -> bool:
    rest = list(right)
    for item in left:
        partner = next((n for n, other in enumerate(rest) if equivalent(item, other)), None)
        if partner is None:
            return False
        del rest[partner]
    return not rest


def places_of(number: Any) -> int:
    """Digits after the point, zeros at the end not counted."""
    _, _, places = f"{Decimal(number):f}".partition(".")
    return len(places.rstrip("0"))


def rounded(number: Any, places: int) -> Decimal:
    return Decimal(number).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def folded(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().lower()


def distinct(items: list[Item]) -> list[Item]:
    found: list[Item] = []
    for item in items:
        if not any(equal(item, other) for other in found):
            found.append(item)
    return found


def text_of(item: Item) -> str | None:
    value = item.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, int | str) else None


def low(item: Item) -> list[Item]:
    return boundary(item, -1)


def high(item: Item) -> list[Item]:
    return boundary(item, 1)


def boundary(item: Item, side: int) -> list[Item]:
    if item.is_number:
        half = Decimal("0.5").scaleb(int(Decimal(item.value).as_tuple().exponent))
        return decimal(Decimal(item.value) + side * half)
    text, milliseconds = item.value, "000" if side < 0 else "999"
    day, has_time, clock = text.partition("T")
    if item.kind == "time":
        return [Item(with_milliseconds(text, milliseconds), "time")]
    if not has_time:
        day = whole_day(day, side)
        end = "T00:00:00.000+14:00" if side < 0 else "T23:59:59.999-12:00"
        return [Item(day if item.kind == "date" else day + end, item.kind)]
    time = re.sub(OFFSET + "$", "", clock)
    offset = clock[len(time) :] or ("+14:00" if side < 0 else "-12:00")
    return [Item(f"{day}T{with_milliseconds(time, milliseconds)}{offset}", "dateTime")]


def with_milliseconds(clock: str, milliseconds: str) -> str:
    seconds, _, digits = clock.partition(".")
    return f"{seconds}.{digits + milliseconds[len(digits) :]}"


def whole_day(day: str, side: int) -> str:
    if len(day) == 4:
        day += "-01" if side < 0 else "-12"
    if len(day) == 7:
        last = calendar.monthrange(int(day[:4]), int(day[5:7]))[1]
        day += "-01" if side < 0 else f"-{last}"
    return day
