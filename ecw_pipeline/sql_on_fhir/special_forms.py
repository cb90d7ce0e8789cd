"""Functions that look at types, or evaluate an argument for each item.

Each is one function from a call to IR; the tables at the end name them. `REFUSED` says why some
functions of FHIRPath cannot be in a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecw_pipeline.fhir import structure
from ecw_pipeline.sql_on_fhir import sets, syntax, type_forms, walks
from ecw_pipeline.sql_on_fhir.calls import (
    argument_of,
    entered,
    no_arguments,
    only_argument,
    source_of,
)
from ecw_pipeline.sql_on_fhir.conversions import TARGETS, conversion, convertibility
from ecw_pipeline.sql_on_fhir.functions import FUNCTIONS
from ecw_pipeline.sql_on_fhir.ir import (
    Apply,
    Choice,
    Empty,
    Filter,
    Guard,
    Map,
    Node,
    Position,
    Root,
    Value,
    Variable,
)
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, INTEGERS, NUMBER, PRIMITIVES
from ecw_pipeline.sql_on_fhir.problems import PathError, did_you_mean
from ecw_pipeline.sql_on_fhir.shapes import whole_shape
from ecw_pipeline.sql_on_fhir.type_forms import (
    as_type,
    exists_node,
    known_type,
    presence,
    type_argument,
)

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope


def where(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = source_of(resolver, call, scope)
    return filtered(resolver, source, only_argument(call), scope)


def filtered(resolver: Resolver, source: Node, test: syntax.Expression, scope: Scope) -> Node:
    """The items of ``source`` for which an expression is true."""
    if source.kind == structure.ANY_RESOURCE and structure.is_resource(named := _type_in(test)):
        return as_type(resolver, source, named, test.at)
    if not source.is_many:
        inner = scope.entered(source, Position())
        condition = resolver.truth(resolver.resolve(test, inner), test.at)
        return Guard(source, condition)
    item, index, inner = entered(source, scope)
    condition = resolver.truth(resolver.resolve(test, inner), test.at)
    return Filter(source, item, index, condition, source.kind, source.shape)


def _type_in(test: syntax.Expression) -> str:
    """The type that a condition wants resources to be of; empty where it wants anything else."""
    match test:
        case syntax.TypeTest("is", syntax.This(), name):
            return name
        case syntax.Binary("=", syntax.Member(syntax.This(), "resourceType"), syntax.Text(name)):
            return name
    return ""


def select(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = source_of(resolver, call, scope)
    argument = only_argument(call)
    if not source.is_many:
        inner = scope.entered(source, Position())
        body = resolver.settled(resolver.resolve(argument, inner), argument.at)
        if isinstance(source, Root) or body.kind == ANYTHING:
            return body
        present = exists_node(source)
        return Apply("if", (present, body, Empty()), body.kind, body.is_many, body.shape)
    item, index, inner = entered(source, scope)
    body = resolver.settled(resolver.resolve(argument, inner), argument.at)
    return Map(source, item, index, body, body.kind, body.shape)


def exists(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = resolver.resolve(call.source, scope)
    if call.arguments:
        settled = resolver.settled(source, call.at)
        source = filtered(resolver, settled, only_argument(call), scope)
    return presence(resolver, source)


def empty(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    no_arguments(call)
    return Apply("not", (presence(resolver, resolver.resolve(call.source, scope)),), "boolean")


def has_value(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    no_arguments(call)
    source = resolver.resolve(call.source, scope)
    if isinstance(source, Choice):
        forms = [resolver.field(source.source, e) for e in resolver.forms(source) if e.is_primitive]
        return Apply("or", tuple(map(_is_one, forms)) or (Value(False, "boolean"),), "boolean")
    return _is_one(source) if source.kind in PRIMITIVES else Value(False, "boolean")


def all_of(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = source_of(resolver, call, scope)
    argument = only_argument(call)
    if source.kind == ANYTHING:
        return Value(True, "boolean")
    item, index, inner = entered(source, scope)
    many = resolver.many(source)
    body = resolver.truth(resolver.resolve(argument, inner), argument.at)
    tests = Map(many, item, index, Apply("coalesce", (body, Value(False, "boolean")), "boolean"),
                "boolean", None)  # fmt: skip
    return Apply("all_of", (tests,), "boolean")


def negation(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    no_arguments(call)
    source = resolver.truth(resolver.resolve(call.source, scope), call.at)
    return Apply("not", (source,), "boolean")


def single(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    no_arguments(call)
    return resolver.one(resolver.resolve(call.source, scope), call.at)


def iif(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    if len(call.arguments) not in (2, 3):
        raise PathError("iif() takes a condition, a result and perhaps another", call.at)
    source = source_of(resolver, call, scope)
    inner = scope if source is scope.focus else scope.entered(source, Position())
    condition, *results = [resolver.resolve(argument, inner) for argument in call.arguments]
    condition = resolver.truth(condition, call.arguments[0].at)
    results = [resolver.settled(node, call.at) for node in results]
    if all(node.kind == ANYTHING for node in results):
        return Empty()
    results, kind = sets.alike(resolver, results, call.at)
    is_many = any(node.is_many for node in results)
    shapes = [node.shape for node in results if node.kind != ANYTHING]
    shape = shapes[0]
    if any(other is not shape for other in shapes):
        shape = whole_shape(kind)
        for node in results:
            resolver.take_whole(node)
    if is_many:
        results = [node if node.kind == ANYTHING else resolver.many(node) for node in results]
    branches = (*results, Empty())[:2]
    return Apply("if", (condition, *branches), kind, is_many, shape)


def extension(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    """``extension(url)`` is ``extension.where(url = …)``."""
    source = source_of(resolver, call, scope)
    extensions = resolver.element(source, "extension", call.at)
    if extensions.kind == ANYTHING:
        return extensions
    wanted = resolver.one(argument_of(resolver, call, scope), call.at)
    if wanted.kind == ANYTHING:
        return wanted
    item, index, _ = entered(extensions, scope)
    own = resolver.element(Variable(item, extensions.kind, extensions.shape), "url", call.at)
    same = Apply("=", (own, wanted), "boolean")
    return Filter(extensions, item, index, same, extensions.kind, extensions.shape)


def resource_key(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    no_arguments(call)
    source = source_of(resolver, call, scope)
    if source.kind == ANYTHING:
        return source
    if source.kind != structure.ANY_RESOURCE and not structure.is_resource(source.kind):
        raise PathError(f"getResourceKey() needs a resource, not {source.kind}", call.at)
    return resolver.element(source, "id", call.at)


def reference_key(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = source_of(resolver, call, scope)
    if source.kind == ANYTHING:
        return source
    if source.kind != "Reference":
        raise PathError(f"getReferenceKey() needs a Reference, not {source.kind}", call.at)
    text = resolver.element(source, "reference", call.at)
    if not call.arguments:
        return resolver.mapped(text, "reference_key", "id")
    target = Value(known_type(type_argument(call), call.at), "code")
    if not text.is_many:
        return Apply("reference_key_to", (text, target), "id")
    item = Variable("each", text.kind)
    body = Apply("reference_key_to", (item, target), "id")
    return Map(text, "each", "", body, "id", None)


def boundary(side: str) -> SpecialForm:
    """``lowBoundary`` or ``highBoundary``, by the kind of the value."""

    def resolved(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
        no_arguments(call)
        source = resolver.one(source_of(resolver, call, scope), call.at)
        kind = source.kind
        if kind == ANYTHING:
            return source
        if kind in INTEGERS or kind == NUMBER:
            source, kind = resolver.text(source, call.at), "decimal"
        what = {"decimal": "number", "date": "date", "time": "time",
                "dateTime": "dateTime", "instant": "dateTime"}.get(kind)  # fmt: skip
        if what is None:
            raise PathError(
                f"{call.name}() works on decimals, dates and times, not {kind}", call.at
            )
        return Apply(f"{side} {what}", (source,), what)

    return resolved


def trace(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    return resolver.resolve(call.source, scope)


def refusal(name: str) -> str:
    """Why a function cannot be called."""
    if name in REFUSED:
        return f"{name}() is not supported: {REFUSED[name]}"
    return f"unknown function {name}(){did_you_mean(name, [*SPECIAL_FORMS, *FUNCTIONS])}"


def _is_one(source: Node) -> Node:
    if not source.is_many:
        return exists_node(source)
    return Apply("one_value", (source,), "boolean")


SpecialForm = Callable[["Resolver", syntax.Call, "Scope"], Node]
SPECIAL_FORMS: dict[str, SpecialForm] = {
    "where": where,
    "select": select,
    "exists": exists,
    "empty": empty,
    "hasValue": has_value,
    "all": all_of,
    "repeat": walks.repeat,
    "not": negation,
    "single": single,
    "iif": iif,
    "ofType": type_forms.of_type,
    "as": type_forms.of_type,
    "is": type_forms.is_call,
    "extension": extension,
    "getResourceKey": resource_key,
    "getReferenceKey": reference_key,
    "lowBoundary": boundary("low"),
    "highBoundary": boundary("high"),
    "trace": trace,
    "distinct": sets.distinct,
    "isDistinct": sets.is_distinct,
    "union": sets.union,
    "combine": sets.combine,
    "intersect": sets.intersect,
    "exclude": sets.exclude,
    "subsetOf": sets.subset_of,
    "supersetOf": sets.superset_of,
    **{f"to{target}": conversion(target) for target in TARGETS},
    **{f"convertsTo{target}": convertibility(target) for target in TARGETS},
}
TYPE_FORMS = {"is": type_forms.is_type, "as": type_forms.as_type}
_TIME = "a table must be the same whenever it is made"
_SCHEMA = "the columns of a table are fixed before any data is seen"
REFUSED = {
    "resolve": "a row is made from one resource; join the tables on getReferenceKey()",
    "now": _TIME,
    "today": _TIME,
    "timeOfDay": _TIME,
    "children": _SCHEMA,
    "descendants": _SCHEMA,
    "aggregate": "aggregate in SQL over the table",
    "memberOf": "it needs a terminology server",
    "subsumes": "it needs a terminology server",
    "subsumedBy": "it needs a terminology server",
    "conformsTo": "it needs a validator",
    "htmlChecks": "it needs a validator",
    "toQuantity": "take .value and .unit apart",
    "convertsToQuantity": "take .value and .unit apart",
    **dict.fromkeys(("sum", "min", "max", "avg"), "aggregate in SQL over the table"),
    **dict.fromkeys(("encode", "decode", "escape", "unescape"), "do it in SQL over the table"),
    "defineVariable": "write the path out, or nest selects",
}
