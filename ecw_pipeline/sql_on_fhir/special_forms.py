"""Functions that look at types, or evaluate an argument for each item.

Each is one function from a call to IR; the tables at the end name them. `REFUSED` says why some
functions of FHIRPath cannot be in a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecw_pipeline.fhir import structure
from ecw_pipeline.sql_on_fhir import operators, syntax
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
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, INTEGERS, PRIMITIVES, family
from ecw_pipeline.sql_on_fhir.problems import PathError, did_you_mean
from ecw_pipeline.sql_on_fhir.shapes import whole_shape

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope

_TYPE_NAMES = {"Boolean": "boolean", "String": "string", "Integer": "integer",
               "Decimal": "decimal", "Date": "date", "DateTime": "dateTime",
               "Time": "time"}  # fmt: skip


def where(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = _source(resolver, call, scope)
    return filtered(resolver, source, _only_argument(call), scope)


def filtered(resolver: Resolver, source: Node, test: syntax.Expression, scope: Scope) -> Node:
    """The items of ``source`` for which an expression is true."""
    if not source.is_many:
        inner = scope.entered(source, Position())
        condition = resolver.truth(resolver.resolve(test, inner), test.at)
        return Guard(source, condition)
    item, index, inner = _entered(source, scope)
    condition = resolver.truth(resolver.resolve(test, inner), test.at)
    return Filter(source, item, index, condition, source.kind, source.shape)


def select(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = _source(resolver, call, scope)
    argument = _only_argument(call)
    if not source.is_many:
        inner = scope.entered(source, Position())
        body = resolver.settled(resolver.resolve(argument, inner), argument.at)
        if isinstance(source, Root) or body.kind == ANYTHING:
            return body
        present = exists_node(source)
        return Apply("if", (present, body, Empty()), body.kind, body.is_many, body.shape)
    item, index, inner = _entered(source, scope)
    body = resolver.settled(resolver.resolve(argument, inner), argument.at)
    return Map(source, item, index, body, body.kind, body.shape)


def exists(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = resolver.resolve(call.source, scope)
    if call.arguments:
        settled = resolver.settled(source, call.at)
        source = filtered(resolver, settled, _only_argument(call), scope)
    return _presence(resolver, source)


def empty(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    _no_arguments(call)
    return Apply("not", (_presence(resolver, resolver.resolve(call.source, scope)),), "boolean")


def has_value(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    _no_arguments(call)
    source = resolver.resolve(call.source, scope)
    if not isinstance(source, Choice) and source.kind not in PRIMITIVES:
        return Value(False, "boolean")
    return _presence(resolver, source)


def all_of(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = _source(resolver, call, scope)
    argument = _only_argument(call)
    if source.kind == ANYTHING:
        return Value(True, "boolean")
    item, index, inner = _entered(source, scope)
    many = resolver.many(source)
    body = resolver.truth(resolver.resolve(argument, inner), argument.at)
    tests = Map(many, item, index, Apply("coalesce", (body, Value(False, "boolean")), "boolean"),
                "boolean", None)  # fmt: skip
    return Apply("all_of", (tests,), "boolean")


def negation(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    _no_arguments(call)
    source = resolver.truth(resolver.resolve(call.source, scope), call.at)
    return Apply("not", (source,), "boolean")


def single(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    _no_arguments(call)
    return resolver.one(resolver.resolve(call.source, scope), call.at)


def iif(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    if len(call.arguments) not in (2, 3):
        raise PathError("iif() takes a condition, a result and perhaps another", call.at)
    source = _source(resolver, call, scope)
    inner = scope if source is scope.focus else scope.entered(source, Position())
    found = [resolver.resolve(argument, inner) for argument in call.arguments]
    condition = resolver.truth(found[0], call.arguments[0].at)
    results = [resolver.settled(node, call.at) for node in found[1:]]
    known = [node for node in results if node.kind != ANYTHING]
    if not known:
        return Empty()
    if len({family(node.kind) for node in known}) > 1:
        raise PathError("iif() must give one type on both sides", call.at)
    if len({node.kind for node in known}) > 1 and family(known[0].kind) == "number":
        known = [resolver.mapped(n, "number", "number") for n in known]
        results = [Empty() if n.kind == ANYTHING else known.pop(0) for n in list(results)]
        known = [node for node in results if node.kind != ANYTHING]
    is_many = any(node.is_many for node in known)
    if is_many:
        results = [node if node.kind == ANYTHING else resolver.many(node) for node in results]
    branches = (*results, Empty())[:2]
    shape = known[0].shape
    if any(node.shape is not shape for node in known):
        for node in known:
            resolver.take_whole(node)
        shape = whole_shape(known[0].kind)
    return Apply("if", (condition, *branches), known[0].kind, is_many, shape)


def of_type(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = resolver.resolve(call.source, scope)
    return as_type(resolver, source, _type_argument(call), call.at)


def is_call(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = resolver.resolve(call.source, scope)
    return is_type(resolver, source, _type_argument(call), call.at)


def as_type(resolver: Resolver, source: Node, type_name: str, at: int) -> Node:
    """The values of one type; of a choice, the element JSON has for it."""
    type_name = _known_type(type_name, at)
    if isinstance(source, Choice):
        form = resolver.form(source, type_name)
        if form is not None:
            return form
        names = ", ".join(e.element_type for e in resolver.forms(source))
        raise PathError(f"`{source.name}` is never a {type_name}; it may be {names}", at)
    if source.kind == structure.ANY_RESOURCE and structure.is_resource(type_name):
        return _contained(source, type_name)
    return source if _is_same_type(source.kind, type_name) else Empty()


def is_type(resolver: Resolver, source: Node, type_name: str, at: int) -> Node:
    type_name = _known_type(type_name, at)
    if isinstance(source, Choice):
        form = resolver.form(source, type_name)
        return Value(False, "boolean") if form is None else exists_node(form)
    if source.kind == ANYTHING:
        return Empty("boolean")
    if source.kind == structure.ANY_RESOURCE:
        return exists_node(_contained(source, type_name))
    return Value(_is_same_type(source.kind, type_name), "boolean")


def extension(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    """``extension(url)`` is ``extension.where(url = …)``."""
    url = _only_argument(call)
    source = resolver.resolve(call.source, scope)
    if isinstance(source, Choice):
        source = resolver.settled(source, call.at)
    extensions = resolver.element(source, "extension", call.at)
    if extensions.kind == ANYTHING:
        return extensions
    test = syntax.Binary("=", syntax.Member(syntax.This(call.at), "url", call.at), url, call.at)
    return filtered(resolver, extensions, test, scope)


def resource_key(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    _no_arguments(call)
    source = _source(resolver, call, scope)
    if source.kind != structure.ANY_RESOURCE and not structure.is_resource(source.kind):
        raise PathError(f"getResourceKey() needs a resource, not {source.kind}", call.at)
    return resolver.element(source, "id", call.at)


def reference_key(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = _source(resolver, call, scope)
    if source.kind == ANYTHING:
        return source
    if source.kind != "Reference":
        raise PathError(f"getReferenceKey() needs a Reference, not {source.kind}", call.at)
    text = resolver.element(source, "reference", call.at)
    if not call.arguments:
        return resolver.mapped(text, "reference_key", "id")
    target = Value(_known_type(_type_argument(call), call.at), "code")
    if not text.is_many:
        return Apply("reference_key_to", (text, target), "id")
    item = Variable("each", text.kind)
    body = Apply("reference_key_to", (item, target), "id")
    return Map(text, "each", "", body, "id", None)


def boundary(side: str) -> SpecialForm:
    """``lowBoundary`` or ``highBoundary``, by the kind of the value."""

    def resolved(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
        _no_arguments(call)
        source = resolver.one(_source(resolver, call, scope), call.at)
        kind = source.kind
        if kind == ANYTHING:
            return source
        if kind in INTEGERS:
            source, kind = resolver.text(source, call.at), "decimal"
        what = {"decimal": "number", "date": "date", "time": "time",
                "dateTime": "dateTime", "instant": "dateTime"}.get(kind)  # fmt: skip
        if what is None:
            raise PathError(
                f"{call.name}() works on decimals, dates and times, not {kind}", call.at
            )
        return Apply(f"{side} {what}", (source,), what)

    return resolved


def combine(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = _source(resolver, call, scope)
    other = resolver.settled(resolver.resolve(_only_argument(call), scope), call.at)
    return operators.joined(resolver, call.name, source, other, call.at)


def trace(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    return resolver.resolve(call.source, scope)


def exists_node(node: Node) -> Node:
    if node.kind == ANYTHING:
        return Value(False, "boolean")
    return Apply("exists_many" if node.is_many else "exists_one", (node,), "boolean")


def refusal(name: str) -> str:
    """Why a function cannot be called."""
    if name in REFUSED:
        return f"{name}() is not supported: {REFUSED[name]}"
    return f"unknown function {name}(){did_you_mean(name, [*SPECIAL_FORMS, *FUNCTIONS])}"


def _presence(resolver: Resolver, source: Node) -> Node:
    if not isinstance(source, Choice):
        return exists_node(source)
    forms = [resolver.field(source.source, element) for element in resolver.forms(source)]
    return Apply("or", tuple(exists_node(form) for form in forms), "boolean")


def _contained(source: Node, type_name: str) -> Node:
    """Resources kept as JSON, of which those of one type are taken apart."""
    shape = whole_shape(type_name)
    target = Value(type_name, "code")
    if not source.is_many:
        return Apply("resource_of", (source, target), type_name, shape=shape)
    item = Variable("each", source.kind, None)
    body = Apply("resource_of", (item, target), type_name)
    return Map(source, "each", "", body, type_name, shape)


def _source(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    return resolver.settled(resolver.resolve(call.source, scope), call.at)


def _entered(source: Node, scope: Scope) -> tuple[str, str, Scope]:
    name, index = f"e{scope.depth + 1}", f"n{scope.depth + 1}"
    item = Variable(name, source.kind, source.shape)
    return name, index, scope.entered(item, Position(index))


def _only_argument(call: syntax.Call) -> syntax.Expression:
    if len(call.arguments) != 1:
        raise PathError(f"{call.name}() takes 1 argument, not {len(call.arguments)}", call.at)
    return call.arguments[0]


def _no_arguments(call: syntax.Call) -> None:
    if call.arguments:
        raise PathError(f"{call.name}() takes no argument", call.at)


def _type_argument(call: syntax.Call) -> str:
    argument = _only_argument(call)
    if isinstance(argument, syntax.Member):
        return argument.name
    if isinstance(argument, syntax.Text):
        return argument.value
    raise PathError(f"{call.name}() needs the name of a type", argument.at)


def _known_type(name: str, at: int) -> str:
    name = _TYPE_NAMES.get(name, name)
    if name in PRIMITIVES or structure.type_structure(name) is not None:
        return name
    hint = did_you_mean(name, structure.type_names())
    raise PathError(f"{name} is not a type FHIR knows{hint}", at)


def _is_same_type(kind: str, type_name: str) -> bool:
    if type_name in {"DomainResource", "Resource"}:
        return structure.is_resource(kind)
    return kind == type_name or (kind == "number" and type_name == "decimal")


SpecialForm = Callable[["Resolver", syntax.Call, "Scope"], Node]
SPECIAL_FORMS: dict[str, SpecialForm] = {
    "where": where,
    "select": select,
    "exists": exists,
    "empty": empty,
    "hasValue": has_value,
    "all": all_of,
    "not": negation,
    "single": single,
    "iif": iif,
    "ofType": of_type,
    "as": of_type,
    "is": is_call,
    "extension": extension,
    "getResourceKey": resource_key,
    "getReferenceKey": reference_key,
    "lowBoundary": boundary("low"),
    "highBoundary": boundary("high"),
    "union": combine,
    "combine": combine,
    "trace": trace,
}
TYPE_FORMS = {"is": is_type, "as": as_type}
_TIME = "a table must be the same whenever it is made"
_SCHEMA = "the columns of a table are fixed before any data is seen"
REFUSED = {
    "resolve": "a row is made from one resource; join the tables on getReferenceKey()",
    "now": _TIME,
    "today": _TIME,
    "timeOfDay": _TIME,
    "children": _SCHEMA,
    "descendants": _SCHEMA,
    "repeat": "use the select's own `repeat`",
    "aggregate": "aggregate in SQL over the table",
    "memberOf": "it needs a terminology server",
    "subsumes": "it needs a terminology server",
    "subsumedBy": "it needs a terminology server",
    "conformsTo": "it needs a validator",
    "htmlChecks": "it needs a validator",
    "toQuantity": "take .value and .unit apart",
    "intersect": "write where($this in …)",
    "exclude": "write where(($this in …).not())",
    "subsetOf": "write all($this in …)",
    "supersetOf": "write all($this in …) the other way round",
}
