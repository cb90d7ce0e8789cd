"""``repeat(expression)``: what an expression gives, what it gives from there, and so on.

Source: FHIRPath 2.0, "repeat": an item that equals an earlier one is not given again, and the order
is left open; ours is that of the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecw_pipeline.sql_on_fhir import sets, syntax
from ecw_pipeline.sql_on_fhir.calls import entered, only_argument, source_of
from ecw_pipeline.sql_on_fhir.ir import Map, Node, Position, Variable, Walk, children
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING
from ecw_pipeline.sql_on_fhir.problems import PathError
from ecw_pipeline.sql_on_fhir.shapes import whole_shape

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope

# DuckDB would plan for minutes: every level of a walk is a lambda inside the one before.
NESTED = "one repeat inside another is not supported: nest selects"


def repeat(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    start = _start(resolver, call, scope)
    shape = whole_shape(start.kind)
    if start.kind == ANYTHING:
        return start
    if shape is None:
        raise PathError(f"repeat() follows elements that have elements, not {start.kind}", call.at)
    item = Variable(f"w{scope.depth + 1}", start.kind, shape)
    argument = only_argument(call)
    inner = scope.entered(item, Position())
    step = resolver.settled(resolver.resolve(argument, inner), argument.at)
    if any(map(walks, (start, step))):
        raise PathError(NESTED, call.at)
    if step.kind not in {start.kind, ANYTHING}:
        message = f"repeat() leads to {start.kind} and {step.kind}: one is needed"
        raise PathError(message, argument.at)
    resolver.take_whole(start)
    resolver.take_whole(step)
    steps = () if step.kind == ANYTHING else (step,)
    walk = Walk((start,), item.name, steps, start.kind, shape)
    return sets.once_each(resolver, walk)


def _start(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    """What the expression gives from each item before the dot."""
    source = source_of(resolver, call, scope)
    argument = only_argument(call)
    if not source.is_many:
        inner = scope.entered(source, Position())
        return resolver.many(resolver.settled(resolver.resolve(argument, inner), argument.at))
    item, index, inner = entered(source, scope)
    body = resolver.settled(resolver.resolve(argument, inner), argument.at)
    return Map(source, item, index, body, body.kind, body.shape)


def walks(node: Node) -> bool:
    """Whether there is a walk in a node."""
    return isinstance(node, Walk) or any(map(walks, children(node)))
