"""``toInteger()``, ``convertsToInteger()`` and the like: one table by target and source.

Source: FHIRPath 2.0, "Conversion".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecw_pipeline.sql_on_fhir import syntax
from ecw_pipeline.sql_on_fhir.calls import no_arguments, source_of
from ecw_pipeline.sql_on_fhir.ir import Apply, Empty, Guard, Node
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, INTEGERS, NUMBER, PRIMITIVES, family
from ecw_pipeline.sql_on_fhir.problems import PathError
from ecw_pipeline.sql_on_fhir.type_forms import exists_node

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope

# Target → what comes out, and the function for each sort of value; "" takes it as it is.
_CONVERSIONS: dict[str, tuple[str, dict[str, str]]] = {
    "Integer": (
        "integer",
        {"integer": "", "boolean": "integer of boolean", "text": "integer of text"},
    ),
    "Decimal": (
        NUMBER,
        {
            "integer": "number",
            "decimal": "number",
            "boolean": "number of boolean",
            "text": "number of text",
        },
    ),
    "Boolean": (
        "boolean",
        {
            "boolean": "",
            "integer": "boolean of number",
            "decimal": "boolean of number",
            "text": "boolean of text",
        },
    ),
    "Date": ("date", {"moment": "date of moment", "text": "date of text"}),
    "DateTime": ("dateTime", {"moment": "dateTime of text", "text": "dateTime of text"}),
    "Time": ("time", {"time": "", "text": "time of text"}),
}
TARGETS = ("String", *_CONVERSIONS)

Form = Callable[["Resolver", syntax.Call, "Scope"], Node]


def conversion(target: str) -> Form:
    """``toTarget()``: the value as another type, or empty."""

    def resolved(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
        return _converted(resolver, _value(resolver, call, scope), target, call.at)

    return resolved


def convertibility(target: str) -> Form:
    """``convertsToTarget()``: whether ``toTarget()`` would give anything."""

    def resolved(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
        value = _value(resolver, call, scope)
        if value.kind == ANYTHING:
            return Empty("boolean")
        converted = _converted(resolver, value, target, call.at)
        return Guard(exists_node(converted), exists_node(value))

    return resolved


def _value(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    no_arguments(call)
    value = resolver.one(source_of(resolver, call, scope), call.at)
    if value.kind not in PRIMITIVES and value.kind != ANYTHING:
        raise PathError(f"a {value.kind} is not one value; name an element of it", call.at)
    return value


def _converted(resolver: Resolver, value: Node, target: str, at: int) -> Node:
    if target == "String":
        return Apply("as it is", (resolver.text(value, at),), "string")
    kind, functions = _CONVERSIONS[target]
    function = functions.get(_sort(value.kind))
    if function is None:
        if value.kind != ANYTHING:
            resolver.warn(f"to{target}() of a {value.kind} is always empty", at)
        return Empty(kind)
    if function == "boolean of number":
        value = resolver.mapped(value, "number", NUMBER)
    return Apply(function, (value,), kind) if function else value


def _sort(kind: str) -> str:
    if kind in INTEGERS:
        return "integer"
    return "decimal" if family(kind) == NUMBER else family(kind)
