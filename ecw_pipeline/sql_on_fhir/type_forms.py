"""``is``, ``as``, ``ofType``: what a value's type is, mostly known before any data.

A choice that has a form of the type asked for is only that: ``value.ofType(string)`` is
``valueString`` and never ``valueCode``. Elsewhere a code is also a string, as FHIR derives its
types, and so ``onset.ofType(Quantity)`` is ``onsetAge``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecw_pipeline.fhir import structure
from ecw_pipeline.sql_on_fhir import syntax
from ecw_pipeline.sql_on_fhir.calls import only_argument
from ecw_pipeline.sql_on_fhir.declared_types import QUANTITIES, SYSTEM_TYPES
from ecw_pipeline.sql_on_fhir.ir import Apply, Choice, Empty, Guard, Map, Node, Value, Variable
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, NUMBER, PRIMITIVES
from ecw_pipeline.sql_on_fhir.problems import PathError, did_you_mean
from ecw_pipeline.sql_on_fhir.shapes import whole_shape

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope

_PARENTS = {
    **dict.fromkeys(("code", "id", "markdown"), "string"),
    **dict.fromkeys(("url", "canonical", "uuid", "oid"), "uri"),
    **dict.fromkeys(("positiveInt", "unsignedInt"), "integer"),
    **dict.fromkeys(QUANTITIES, "Quantity"),
    NUMBER: "decimal",
}


def of_type(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = resolver.resolve(call.source, scope)
    return as_type(resolver, source, type_argument(call), call.at)


def is_call(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source = resolver.resolve(call.source, scope)
    return is_type(resolver, source, type_argument(call), call.at)


def as_type(resolver: Resolver, source: Node, type_name: str, at: int) -> Node:
    """The values of one type; of a choice, the element JSON has for it."""
    type_name = known_type(type_name, at)
    if isinstance(source, Choice):
        return _form(resolver, source, type_name, at)
    if source.kind == structure.ANY_RESOURCE and structure.is_resource(type_name):
        return _contained(source, type_name)
    return source if _is_subtype(source.kind, type_name) else Empty()


def is_type(resolver: Resolver, source: Node, type_name: str, at: int) -> Node:
    """True or false of a value that is there, else empty."""
    type_name = known_type(type_name, at)
    if isinstance(source, Choice):
        answer: Node = exists_node(_form(resolver, source, type_name, at))
    elif source.kind == ANYTHING:
        return Empty("boolean")
    elif source.kind == structure.ANY_RESOURCE:
        source = resolver.one(source, at)
        answer = exists_node(_contained(source, type_name))
    else:
        source = resolver.one(source, at)
        answer = Value(_is_subtype(source.kind, type_name), "boolean")
    return Guard(answer, presence(resolver, source))


def _form(resolver: Resolver, choice: Choice, type_name: str, at: int) -> Node:
    """A choice's form of a type, or of the one type derived from it; empty when it has none."""
    names = [element.element_type for element in resolver.forms(choice)]
    fit = [type_name] if type_name in names else [n for n in names if _is_subtype(n, type_name)]
    if len(fit) > 1:
        raise PathError(f"`{choice.name}` may be {' or '.join(fit)}: choose one of them", at)
    form = resolver.form(choice, fit[0]) if fit else None
    if form is None:
        message = f"`{choice.name}` is never a {type_name}, so this is always empty; it may be "
        resolver.warn(message + ", ".join(names), at)
        return Empty()
    return form


def only_form(resolver: Resolver, choice: Choice, type_name: str) -> Node:
    """The form of the type that a column is declared to have; data of another is an error.

    Source: SQL on FHIR, ViewDefinition.select.column.type.
    """
    form = resolver.form(choice, type_name)
    if form is None:
        return choice
    others = [e for e in resolver.forms(choice) if e.element_type != type_name]
    found = (exists_node(resolver.field(choice.source, element)) for element in others)
    is_other = Apply("or", tuple(found), "boolean")
    return Apply("only", (form, is_other), form.kind, form.is_many, form.shape)


def exists_node(node: Node) -> Node:
    if node.kind == ANYTHING:
        return Value(False, "boolean")
    return Apply("exists_many" if node.is_many else "exists_one", (node,), "boolean")


def presence(resolver: Resolver, source: Node) -> Node:
    """Whether there is anything, also in an element whose type nobody chose."""
    if not isinstance(source, Choice):
        return exists_node(source)
    forms = [resolver.field(source.source, element) for element in resolver.forms(source)]
    return Apply("or", tuple(exists_node(form) for form in forms), "boolean")


def type_argument(call: syntax.Call) -> str:
    argument = only_argument(call)
    if isinstance(argument, syntax.Member):
        return argument.name
    if isinstance(argument, syntax.Text):
        return argument.value
    raise PathError(f"{call.name}() needs the name of a type", argument.at)


def known_type(name: str, at: int) -> str:
    name = SYSTEM_TYPES.get(name, name)
    if name in PRIMITIVES or structure.type_structure(name) is not None:
        return name
    hint = did_you_mean(name, structure.type_names())
    raise PathError(f"{name} is not a type FHIR knows{hint}", at)


def _contained(source: Node, type_name: str) -> Node:
    """Resources kept as JSON, of which those of one type are taken apart."""
    if source.shape is not None:
        source.shape.is_whole = source.shape.is_output = True
    shape = whole_shape(type_name)
    target = Value(type_name, "code")
    if not source.is_many:
        return Apply("resource_of", (source, target), type_name, shape=shape)
    item = Variable("each", source.kind, None)
    body = Apply("resource_of", (item, target), type_name)
    return Map(source, "each", "", body, type_name, shape)


def _is_subtype(kind: str, type_name: str) -> bool:
    if type_name in {"DomainResource", structure.ANY_RESOURCE}:
        return structure.is_resource(kind)
    return kind == type_name or (kind in _PARENTS and _is_subtype(_PARENTS[kind], type_name))
