"""What FHIRPath's operators mean for each family of values.

Source: FHIRPath 2.0, "Operations".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecw_pipeline.sql_on_fhir import syntax
from ecw_pipeline.sql_on_fhir.ir import Apply, Empty, Node, Value
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, INTEGERS, NUMBER, PRIMITIVES, family
from ecw_pipeline.sql_on_fhir.problems import PathError
from ecw_pipeline.sql_on_fhir.shapes import whole_shape

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope

_MIRRORED = {">": "<", ">=": "<="}


def binary(resolver: Resolver, expression: syntax.Binary, scope: Scope) -> Node:
    """Resolve both sides and let the operator's own rule decide."""
    left = resolver.settled(resolver.resolve(expression.left, scope), expression.left.at)
    right = resolver.settled(resolver.resolve(expression.right, scope), expression.right.at)
    return _RULES[expression.operator](resolver, expression, left, right)


def unary(resolver: Resolver, expression: syntax.Unary, scope: Scope) -> Node:
    operand = resolver.one(resolver.resolve(expression.operand, scope), expression.at)
    if operand.kind == ANYTHING:
        return operand
    if family(operand.kind) != NUMBER:
        raise PathError(f"{expression.operator} needs a number, not {operand.kind}", expression.at)
    operand = number(operand)
    if expression.operator == "+":
        return operand
    return Apply("negative", (operand,), operand.kind)


def number(node: Node) -> Node:
    """A value to compute with: decimals leave their text behind."""
    return Apply("number", (node,), NUMBER) if node.kind == "decimal" else node


def _logic(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    sides = (
        resolver.truth(left, expression.left.at),
        resolver.truth(right, expression.right.at),
    )
    return Apply(expression.operator, sides, "boolean")


def _equality(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    if ANYTHING in (left.kind, right.kind):
        return Empty("boolean")
    kind = _common_family(expression, left, right)
    if kind not in PRIMITIVES | {"moment", "text"}:
        resolver.take_whole(left)
        resolver.take_whole(right)
    if left.is_many or right.is_many:
        equal = _equal_lists(resolver, expression, left, right)
    elif kind == "moment":
        equal = Apply("moment =", (left, right), "boolean")
    else:
        equal = Apply("=", (_comparable(left, kind), _comparable(right, kind)), "boolean")
    return equal if expression.operator == "=" else Apply("not", (equal,), "boolean")


def _equal_lists(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    kind = family(left.kind)
    function = {NUMBER: "number", "time": "time"}.get(kind, "")

    def ready(node: Node) -> Node:
        needed = function and not (kind == NUMBER and node.kind == NUMBER)
        return resolver.mapped(node, function, kind) if needed else node

    if kind == "moment" and not (left.is_many and right.is_many):
        sides = (resolver.one(left, expression.at), resolver.one(right, expression.at))
        return Apply("moment =", sides, "boolean")
    left, right = ready(left), ready(right)
    if left.is_many and right.is_many:
        return Apply("many = many", (left, right), "boolean")
    pair = (left, right) if left.is_many else (right, left)
    return Apply("many = one", pair, "boolean")


def _equivalence(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    left = resolver.one(left, expression.at)
    right = resolver.one(right, expression.at)
    if ANYTHING in (left.kind, right.kind):
        known = right if left.kind == ANYTHING else left
        same: Node = (
            Value(True, "boolean")
            if known.kind == ANYTHING
            else Apply("not", (Apply("exists_one", (known,), "boolean"),), "boolean")
        )
    else:
        kind = _common_family(expression, left, right)
        if kind == "text":
            left, right = (Apply("folded", (side,), "string") for side in (left, right))
        function = "equivalent moment" if kind == "moment" else "equivalent"
        sides = (_comparable(left, kind), _comparable(right, kind))
        same = Apply(function, sides, "boolean")
    return same if expression.operator == "~" else Apply("not", (same,), "boolean")


def _comparison(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    left = resolver.one(left, expression.left.at)
    right = resolver.one(right, expression.right.at)
    if ANYTHING in (left.kind, right.kind):
        return Empty("boolean")
    kind = _common_family(expression, left, right)
    if kind not in {NUMBER, "text", "moment", "time"}:
        raise PathError(f"{left.kind} values have no order", expression.at)
    operator = expression.operator
    if kind != "moment":
        return Apply(operator, (_comparable(left, kind), _comparable(right, kind)), "boolean")
    if operator in _MIRRORED:
        return Apply(f"moment {_MIRRORED[operator]}", (right, left), "boolean")
    return Apply(f"moment {operator}", (left, right), "boolean")


def _arithmetic(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    left = resolver.one(left, expression.left.at)
    right = resolver.one(right, expression.right.at)
    if ANYTHING in (left.kind, right.kind):
        return Empty()
    operator = expression.operator
    if operator == "+" and {family(left.kind), family(right.kind)} == {"text"}:
        return Apply("concatenated", (left, right), "string")
    for side, node in ((expression.left, left), (expression.right, right)):
        if family(node.kind) != NUMBER:
            raise PathError(f"{operator} needs numbers, not {node.kind}", side.at)
    whole = left.kind in INTEGERS and right.kind in INTEGERS and operator != "/"
    kind = "integer" if whole or operator == "div" else NUMBER
    if operator == "*" and whole:
        return Apply("*", (left, right), NUMBER)
    return Apply(operator, (number(left), number(right)), kind)


def _concatenation(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    sides = tuple(
        resolver.text(resolver.one(node, expression.at), expression.at) for node in (left, right)
    )
    return Apply("&", sides, "string")


def _union(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    return joined(resolver, "union", left, right, expression.at)


def joined(resolver: Resolver, function: str, left: Node, right: Node, at: int) -> Node:
    """Two collections as one list of a kind both can be."""
    if ANYTHING in (left.kind, right.kind):
        known = right if left.kind == ANYTHING else left
        if known.kind == ANYTHING:
            return known
        both = Apply("combine", (resolver.many(known), Empty()), known.kind, True, known.shape)
        return _once_each(both) if function == "union" else both
    if family(left.kind) != family(right.kind):
        raise PathError(f"cannot put {left.kind} and {right.kind} in one collection", at)
    sides = tuple(resolver.many(_same_held(resolver, n, left, right, at)) for n in (left, right))
    for side in sides:
        resolver.take_whole(side)
    both = Apply("combine", sides, sides[0].kind, True, whole_shape(sides[0].kind))
    return _once_each(both) if function == "union" else both


def _once_each(node: Apply) -> Node:
    return Apply("distinct", (node,), node.kind, is_many=True, shape=node.shape)


def _same_held(resolver: Resolver, node: Node, left: Node, right: Node, at: int) -> Node:
    """Numbers of two kinds meet as computed ones; everything else is held alike."""
    if family(node.kind) == NUMBER and left.kind != right.kind and node.kind != NUMBER:
        return resolver.mapped(node, "number", NUMBER)
    if left.kind != right.kind and node.kind not in PRIMITIVES:
        raise PathError(f"cannot put {left.kind} and {right.kind} in one collection", at)
    return node


def _membership(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    item, items = (left, right) if expression.operator == "in" else (right, left)
    item = resolver.one(item, expression.at)
    if ANYTHING in (item.kind, items.kind):
        return Empty("boolean") if item.kind == ANYTHING else Value(False, "boolean")
    kind = _common_family(expression, left, right)
    items = resolver.many(items)
    if kind == NUMBER:
        items = resolver.mapped(items, "number", NUMBER)
        item = number(item)
    return Apply("has", (items, item), "boolean")


def _common_family(expression: syntax.Binary, left: Node, right: Node) -> str:
    kinds = {family(left.kind), family(right.kind)}
    if len(kinds) == 1:
        return kinds.pop()
    if kinds == {"moment", "text"} or kinds == {"time", "text"}:
        return (kinds - {"text"}).pop()
    raise PathError(
        f"{expression.operator} cannot compare {left.kind} with {right.kind}", expression.at
    )


def _comparable(node: Node, kind: str) -> Node:
    if kind == "time":
        return Apply("time", (node,), "time")
    return number(node) if kind == NUMBER else node


_Rule = Callable[["Resolver", syntax.Binary, Node, Node], Node]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("and", "or", "xor", "implies"), _logic),
    **dict.fromkeys(("=", "!="), _equality),
    **dict.fromkeys(("~", "!~"), _equivalence),
    **dict.fromkeys(("<", "<=", ">", ">="), _comparison),
    **dict.fromkeys(("+", "-", "*", "/", "div", "mod"), _arithmetic),
    **dict.fromkeys(("in", "contains"), _membership),
    "&": _concatenation,
    "|": _union,
}
