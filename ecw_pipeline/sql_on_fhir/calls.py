"""What a call in a path was given: its source and its arguments, checked for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecw_pipeline.sql_on_fhir import syntax
from ecw_pipeline.sql_on_fhir.ir import Node, Position, Variable
from ecw_pipeline.sql_on_fhir.kinds import PRIMITIVES
from ecw_pipeline.sql_on_fhir.problems import PathError

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope


def source_of(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    """What stands before the dot; a choice of types must have been made."""
    return resolver.settled(resolver.resolve(call.source, scope), call.at)


def argument_of(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    """The only argument, evaluated beside the source and not for each of its items."""
    return resolver.settled(resolver.resolve(only_argument(call), scope), call.at)


def only_argument(call: syntax.Call) -> syntax.Expression:
    if len(call.arguments) != 1:
        raise PathError(f"{call.name}() takes 1 argument, not {len(call.arguments)}", call.at)
    return call.arguments[0]


def no_arguments(call: syntax.Call) -> None:
    if call.arguments:
        raise PathError(f"{call.name}() takes no argument", call.at)


def entered(source: Node, scope: Scope) -> tuple[str, str, Scope]:
    """The names of an item of ``source`` and of its position, and the scope of that item."""
    name, index = f"e{scope.depth + 1}", f"n{scope.depth + 1}"
    item = item_of(source, name, index)
    return name, index, scope.entered(item, Position(index))


def item_of(source: Node, name: str, index: str) -> Variable:
    """The item of ``source`` that a lambda is at."""
    if source.kind not in PRIMITIVES:
        return Variable(name, source.kind, source.shape)
    return Variable(name, source.kind, source.shape, of=source, index=index)
