"""A slow, plain reading of FHIRPath, written from the specification, to compare the compiler with.

It shares no code with the compiler: every value is a list of items, and a tree is walked for each
resource. What it holds of FHIRPath's open questions is what the compiler documents: an element
that has only an extension is empty, except to `extension` and `id` right after it, and a choice
is of exactly the type its name in JSON says, where it can be of the type asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

from ecw_pipeline_tests.sql_on_fhir import plain_values as values
from ecw_pipeline_tests.sql_on_fhir.plain_functions import (
    FUNCTIONS,
    Items,
    SeveralError,
    has,
    one,
    reference_key,
    text,
)
from ecw_pipeline_tests.sql_on_fhir.plain_paths import Tree, read_path
from ecw_pipeline_tests.sql_on_fhir.plain_types import elements, is_primitive, is_subtype
from ecw_pipeline_tests.sql_on_fhir.plain_values import Item, boolean, integer, item_of

__all__ = ["Reading", "SeveralError", "read"]
URLS = {
    "ucum": "http://unitsofmeasure.org",
    "loinc": "http://loinc.org",
    "sct": "http://snomed.info/sct",
}
SYSTEM_TYPES = {"String", "Boolean", "Integer", "Decimal", "Date", "DateTime", "Time"}
read = cache(read_path)


@dataclass(frozen=True)
class Reading:
    """What a path is read over: the resource, where it starts, and the view's constants.

    ``is_eager`` says that columns are read also for rows that come to nothing.
    """

    resource: Item
    constants: Mapping[str, Item]
    context: Items
    row_index: int = 0
    index: int | None = None
    is_eager: bool = False

    def of(self, path: str) -> Items:
        return self.items(read(path), self.context)

    def items(self, tree: Tree, this: Items) -> Items:
        """The items of a tree that have a value."""
        return [item for item in self.nodes(tree, this) if item.value is not None]

    def nodes(self, tree: Tree, this: Items) -> Items:
        match tree:
            case ("this",):
                return this
            case ("nothing",):
                return []
            case ("value", value, kind):
                return [item_of(int(value) if kind == "integer" else value, kind)]
            case ("moment", written):
                return [moment(written)]
            case ("index",):
                return integer(self.index or 0)
            case ("constant", name):
                return self.constant(name)
            case ("member", source, name):
                return self.member(source, name, this)
            case ("call", source, name, arguments):
                return self.call(source, name, arguments, this)
            case ("item", source, position):
                at = one(self.items(position, this))
                found = self.items(source, this)
                return found[at.value : at.value + 1] if at and at.value >= 0 else []
            case ("sign", sign, operand):
                item = one(self.items(operand, this))
                return signed(sign, item) if item else []
        _, operator, left, right = tree
        return self.operated(operator, left, right, this)

    def constant(self, name: str) -> Items:
        match name:
            case "rowIndex":
                return integer(self.row_index)
            case "resource" | "rootResource":
                return [self.resource]
            case "context":
                return self.context
        return [self.constants.get(name) or Item(URLS[name], "string")]

    # Elements

    def member(self, source: Tree, name: str, this: Items) -> Items:
        names = (self.resource.kind, "DomainResource", "Resource")
        if source == ("this",) and this == [self.resource] and name in names:
            return this
        found: Items = []
        for parent in self.nodes(source, this):
            found += children(parent, name)
        return found

    # Operators

    def operated(self, operator: str, left: Tree, right: Any, this: Items) -> Items:
        if operator == "as":
            return [item for item in self.nodes(left, this) if is_a(item, right)]
        items = self.items(left, this)
        if operator == "is":
            return is_type(items, right)
        others = self.items(right, this)
        if operator in LOGIC:
            return truth(LOGIC[operator](truth_of(items), truth_of(others)))
        if operator in COLLECTION_OPERATORS:
            return COLLECTION_OPERATORS[operator](items, others)
        a, b = one(items), one(others)
        if operator == "&":
            return text("".join(values.text_of(item) or "" for item in (a, b) if item))
        if a is None or b is None:
            return []
        if operator in COMPARISONS:
            found = values.order(a, b)
            return [] if found is None else [boolean(COMPARISONS[operator](found))]
        return calculated(operator, a, b)

    # Functions

    def call(self, source: Tree, name: str, arguments: list[Tree], this: Items) -> Items:
        if name == "extension":
            return self.extension(source, arguments[0], this)
        if name in {"ofType", "as", "is", "getReferenceKey"}:
            kind = arguments[0][-1] if arguments else ""
            if name in {"ofType", "as"}:
                return [item for item in self.nodes(source, this) if is_a(item, kind)]
            items = self.items(source, this)
            return reference_key(items, kind) if name == "getReferenceKey" else is_type(items, kind)
        items = self.items(source, this)
        if name in PER_ITEM:
            return PER_ITEM[name](self, items, arguments)
        return FUNCTIONS[name](items, *(self.items(argument, this) for argument in arguments))

    def extension(self, source: Tree, url: Tree, this: Items) -> Items:
        wanted = one(self.items(url, this))
        found: Items = []
        for item in self.nodes(source, this):
            found += children(item, "extension")
        return [item for item in found if wanted and item.value.get("url") == wanted.value]

    def for_each(self, items: Items, argument: Tree) -> list[Items]:
        return [replace(self, index=n).items(argument, [item]) for n, item in enumerate(items)]

    def where(self, items: Items, arguments: list[Tree]) -> Items:
        tests = self.for_each(items, arguments[0])
        return [item for item, test in zip(items, tests, strict=True) if truth_of(test)]

    def select(self, items: Items, arguments: list[Tree]) -> Items:
        return [item for found in self.for_each(items, arguments[0]) for item in found]

    def exists(self, items: Items, arguments: list[Tree]) -> Items:
        return [boolean(bool(self.where(items, arguments) if arguments else items))]

    def all(self, items: Items, arguments: list[Tree]) -> Items:
        return [boolean(len(self.where(items, arguments)) == len(items))]

    def iif(self, items: Items, arguments: list[Tree]) -> Items:
        condition, *results = arguments
        if truth_of(self.items(condition, items)):
            return self.items(results[0], items)
        return self.items(results[1], items) if len(results) > 1 else []


PER_ITEM: dict[str, Callable[[Reading, Items, list[Tree]], Items]] = {
    "where": Reading.where,
    "select": Reading.select,
    "exists": Reading.exists,
    "all": Reading.all,
    "iif": Reading.iif,
}


def children(parent: Item, name: str) -> Items:
    """The elements of a node by FHIRPath's name; nodes with only an extension have no value."""
    inside = parent.beside if is_primitive(parent.kind) else parent.value
    if not isinstance(inside, dict):
        return []
    if is_primitive(parent.kind):
        known = {"extension": ("Extension", ""), "id": ("string", "")}
    else:
        known = {"resourceType": ("code", ""), **elements(resource_kind(parent))}
    found: Items = []
    for json_name, (kind, choice) in known.items():
        if name in {json_name, choice}:
            found += listed(inside.get(json_name), inside.get(f"_{json_name}"), kind, choice)
    return found


def listed(value: Any, beside: Any, kind: str, choice: str) -> Items:
    many = value if isinstance(value, list) else [value]
    besides = beside if isinstance(beside, list) else [beside]
    length = max(len(many), len(besides))
    many, besides = (each + [None] * (length - len(each)) for each in (many, besides))
    pairs = zip(many, besides, strict=True)
    return [item_of(v, kind, b, bool(choice)) for v, b in pairs if v is not None or b is not None]


def resource_kind(item: Item) -> str:
    return str(item.value.get("resourceType", item.kind)) if item.kind == "Resource" else item.kind


def is_a(item: Item, kind: str) -> bool:
    if kind in SYSTEM_TYPES:
        kind = kind[0].lower() + kind[1:]
    return item.kind == kind if item.is_choice else is_subtype(resource_kind(item), kind)


def is_type(items: Items, kind: str) -> Items:
    item = one(items)
    return [boolean(is_a(item, kind))] if item else []


def moment(written: str) -> Item:
    if written.startswith("T"):
        return Item(written[1:], "time")
    return Item(written.rstrip("T"), "dateTime" if "T" in written else "date")


def truth(value: bool | None) -> Items:
    return [] if value is None else [boolean(value)]


def truth_of(items: Items) -> bool | None:
    item = one(items)
    assert item is None or isinstance(item.value, bool)
    return item.value if item else None


def both(a: bool | None, b: bool | None) -> bool | None:
    return False if False in (a, b) else None if None in (a, b) else True


def either(a: bool | None, b: bool | None) -> bool | None:
    return True if True in (a, b) else None if None in (a, b) else False


def inverse(a: bool | None) -> bool | None:
    return None if a is None else not a


LOGIC: dict[str, Callable[[bool | None, bool | None], bool | None]] = {
    "and": both,
    "or": either,
    "xor": lambda a, b: None if a is None or b is None else a != b,
    "implies": lambda a, b: either(inverse(a), b),
}
COLLECTION_OPERATORS: dict[str, Callable[[Items, Items], Items]] = {
    "=": lambda a, b: truth(values.equal_all(a, b)),
    "!=": lambda a, b: truth(inverse(values.equal_all(a, b))),
    "~": lambda a, b: [boolean(values.equivalent_all(a, b))],
    "!~": lambda a, b: [boolean(not values.equivalent_all(a, b))],
    "|": lambda a, b: values.distinct(a + b),
    "in": lambda a, b: [boolean(has(b, item))] if (item := one(a)) else [],
    "contains": lambda a, b: [boolean(has(a, item))] if (item := one(b)) else [],
}
COMPARISONS: dict[str, Callable[[int], bool]] = {
    "<": lambda found: found < 0,
    "<=": lambda found: found <= 0,
    ">": lambda found: found > 0,
    ">=": lambda found: found >= 0,
}


def signed(sign: str, item: Item) -> Items:
    value = -item.value if sign == "-" else item.value
    return values.decimal(value) if item.kind == "decimal" else integer(value)


def calculated(operator: str, left: Item, right: Item) -> Items:
    a, b = left.value, right.value
    if isinstance(a, str):
        return text(a + b)
    if operator in {"/", "div", "mod"} and b == 0:
        return []
    if operator == "/":
        return values.decimal((Decimal(a) / Decimal(b)).quantize(Decimal("1e-8"), ROUND_HALF_UP))
    whole = int(Decimal(a) / Decimal(b)) if operator in {"div", "mod"} else 0
    if operator == "div":
        return integer(whole)
    found = {"+": a + b, "-": a - b, "*": a * b, "mod": a - b * whole}[operator]
    return integer(found) if isinstance(found, int) else values.decimal(found)
