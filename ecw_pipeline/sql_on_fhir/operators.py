"""What FHIRPath's operators mean for each family of values.

Source: FHIRPath 2.0, "Operations".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ecw_pipeline.sql_on_fhir import sets, syntax
from ecw_pipeline.sql_on_fhir.ir import Apply, Choice, Empty, Guard, Node, Value
from ecw_pipeline.sql_on_fhir.kinds import (
    ANYTHING,
    INTEGERS,
    NUMBER,
    common_kind,
    family,
    shared_family,
)
from ecw_pipeline.sql_on_fhir.problems import PathError
from ecw_pipeline.sql_on_fhir.type_forms import exists_node

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope

_MIRRORED = {">": "<", ">=": "<="}


def binary(resolver: Resolver, expression: syntax.Binary, scope: Scope) -> Node:
    """Resolve both sides and let the operator's own rule decide."""
    left = resolver.resolve(expression.left, scope)
    right = resolver.resolve(expression.right, scope)
    if expression.operator in {"=", "!="} and isinstance(left, Choice) is not isinstance(
        right, Choice
    ):
        choice, other = (left, right) if isinstance(left, Choice) else (right, left)
        if isinstance(choice, Choice) and not choice.is_many:
            return _equality_of_choice(resolver, expression, choice, other)
    left = resolver.settled(left, expression.left.at)
    right = resolver.settled(right, expression.right.at)
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
    if left.is_many or right.is_many:
        equal = sets.equal(resolver, left, right)
    elif kind == "moment":
        equal = Apply("moment =", (left, right), "boolean")
    else:
        sides = tuple(sets.comparable(resolver, side, kind) for side in (left, right))
        equal = Apply("=", sides, "boolean")
    return equal if expression.operator == "=" else Apply("not", (equal,), "boolean")


def _equality_of_choice(
    resolver: Resolver, expression: syntax.Binary, choice: Choice, other: Node
) -> Node:
    """``deceased = true`` of the form that is there; one of another type is not equal."""
    if other.kind == ANYTHING:
        return Empty("boolean")
    forms = [resolver.field(choice.source, element) for element in resolver.forms(choice)]
    fit = [form for form in forms if family(form.kind) == family(other.kind)]
    fit = fit or [form for form in forms if shared_family(form.kind, other.kind)]
    unfit = tuple(exists_node(form) for form in forms if form not in fit)
    equality = replace(expression, operator="=")
    answers = [_equality(resolver, equality, form, other) for form in fit]
    if unfit:
        there = Apply("and", (Apply("or", unfit, "boolean"), exists_node(other)), "boolean")
        answers.append(Guard(Value(False, "boolean"), there))
    equal = Apply("coalesce", tuple(answers), "boolean")
    return equal if expression.operator == "=" else Apply("not", (equal,), "boolean")


def _equivalence(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    known = [node for node in (left, right) if node.kind != ANYTHING]
    if len(known) == 2:
        same = _equivalent(resolver, expression, left, right)
    else:
        exists = exists_node(known[0]) if known else Value(False, "boolean")
        same = Apply("not", (exists,), "boolean")
    return same if expression.operator == "~" else Apply("not", (same,), "boolean")


def _equivalent(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    kind = _common_family(expression, left, right)
    if left.is_many or right.is_many:
        return sets.equivalent(resolver, left, right)
    sides = tuple(sets.equivalence_form(resolver, side, kind) for side in (left, right))
    return Apply("numbers ~" if kind == NUMBER else "~", sides, "boolean")


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
        sides = tuple(sets.comparable(resolver, side, kind) for side in (left, right))
        return Apply(operator, sides, "boolean")
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
    kind = (whole and common_kind((left.kind, right.kind))) or NUMBER
    if operator == "div":
        kind = "integer"
    name = "whole *" if whole and operator == "*" else operator
    return Apply(name, (number(left), number(right)), kind)


def _concatenation(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    sides = tuple(
        resolver.text(resolver.one(node, expression.at), expression.at) for node in (left, right)
    )
    return Apply("&", sides, "string")


def _union(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    return sets.once_each(resolver, sets.joined(resolver, left, right, expression.at))


def _membership(resolver: Resolver, expression: syntax.Binary, left: Node, right: Node) -> Node:
    item, items = (left, right) if expression.operator == "in" else (right, left)
    if ANYTHING not in (left.kind, right.kind):
        _common_family(expression, left, right)
    return sets.membership(resolver, item, items, expression.at)


def _common_family(expression: syntax.Binary, left: Node, right: Node) -> str:
    shared = shared_family(left.kind, right.kind)
    if shared is None:
        message = f"{expression.operator} cannot compare {left.kind} with {right.kind}"
        raise PathError(message, expression.at)
    return shared


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
