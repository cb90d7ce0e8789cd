"""A path's syntax tree to typed IR, over FHIR's structure.

What each syntax node means is decided here; functions that look at types or evaluate an argument
per item are in `special_forms`, operators in `operators`, and plain functions in `functions`.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ecw_pipeline.fhir import structure
from ecw_pipeline.sql_on_fhir import besides, operators, patterns, sets, special_forms, syntax
from ecw_pipeline.sql_on_fhir.constants import Constant
from ecw_pipeline.sql_on_fhir.functions import ANY, DIGITS, FUNCTIONS, PATTERN, SAME, Function
from ecw_pipeline.sql_on_fhir.ir import (
    Apply,
    Choice,
    Empty,
    Field,
    Map,
    Node,
    Position,
    Root,
    Value,
    Variable,
)
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, INTEGERS, NUMBER, PRIMITIVES, family
from ecw_pipeline.sql_on_fhir.literals import written
from ecw_pipeline.sql_on_fhir.problems import PathError, Problems, did_you_mean

# DuckDB plans twice as long for every lambda inside a lambda; iterations count too.
MAX_LAMBDAS = 10
_ANY_ROOT = ("DomainResource", structure.ANY_RESOURCE)
_URLS = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}


TOP_POSITION = Position()


@dataclass(frozen=True)
class Scope:
    """What ``$this``, ``$index`` and ``%rowIndex`` are, and how many lambdas are around.

    ``context`` is the focus the whole path started at, when that is another.
    """

    focus: Node
    row_index: Node = TOP_POSITION
    index: Node | None = None
    depth: int = 0
    context: Node | None = None

    @property
    def start(self) -> Node:
        return self.context or self.focus

    def entered(self, item: Node, index: Node) -> "Scope":
        """The scope inside a function's argument that is evaluated per item."""
        depth = self.depth + 1
        return replace(self, focus=item, index=index, depth=depth, context=self.start)


class Resolver:
    """Resolves the paths of one view; warnings name ``where`` and point into ``path``."""

    def __init__(
        self,
        root: Root,
        constants: Mapping[str, Constant],
        problems: Problems,
        where: str = "",
        path: str = "",
    ) -> None:
        self.root = root
        self._constants = constants
        self._problems = problems
        self._where = where
        self._path = path

    def at(self, where: str, path: str) -> "Resolver":
        """The same resolver, naming another place in its warnings."""
        return Resolver(self.root, self._constants, self._problems, where, path)

    def resolve(self, expression: syntax.Expression, scope: Scope) -> Node:
        """The meaning of an expression.

        Raises:
            PathError: it has none, or none we support.
        """
        if scope.depth > MAX_LAMBDAS:
            raise PathError(f"functions nest more than {MAX_LAMBDAS} deep", expression.at)
        match expression:
            case syntax.This():
                return scope.focus
            case syntax.Member():
                return self._member(expression, scope)
            case syntax.Call():
                return self._call(expression, scope)
            case syntax.Binary():
                return operators.binary(self, expression, scope)
            case syntax.Unary():
                return operators.unary(self, expression, scope)
            case syntax.Indexer():
                return self._indexed(expression, scope)
            case syntax.TypeTest():
                source = self.resolve(expression.source, scope)
                form = special_forms.TYPE_FORMS[expression.operator]
                return form(self, source, expression.type_name, expression.at)
            case syntax.Constant():
                return self._constant(expression, scope)
            case syntax.Index():
                if scope.index is None:
                    raise PathError(
                        "$index has a meaning only inside where() and the like", expression.at
                    )
                return scope.index
        return written(expression)

    # Navigation

    def _member(self, expression: syntax.Member, scope: Scope) -> Node:
        source = self.resolve(expression.source, scope)
        is_start = isinstance(expression.source, syntax.This)
        if is_start and source is self.root and expression.name in {self.root.kind, *_ANY_ROOT}:
            return self.root  # ``Patient.name``, ``Resource.id``
        return self.element(source, expression.name, expression.at)

    def element(self, source: Node, name: str, at: int) -> Node:
        """The element ``name`` of ``source``; empty, with a warning, when FHIR knows none."""
        if isinstance(source, Choice):
            return self._element_of_choice(source, name, at)
        if source.kind == ANYTHING:
            return Empty()
        if source.kind in PRIMITIVES:
            return besides.element(self, source, name, at)
        known = structure.type_structure(source.kind)
        if known is None and source is self.root:
            return Empty()  # a resource FHIR does not know: told once, of the view
        if known is None or source.shape is None:
            raise PathError(f"{source.kind} has no elements", at)
        if source.kind == structure.ANY_RESOURCE and name not in known.elements:
            raise PathError(f"`{name}` of which resource? Choose one with ofType(…)", at)
        if name in known.choices:
            return Choice(source, name, source.is_many)
        if name not in known.elements:
            return self.unknown(source.kind, name, at, (*known.element_names, *known.elements))
        element = known.elements[name]
        if element.choice:
            right = f"{element.choice}.ofType({element.element_type})"
            self.warn(f"`{name}` is JSON's name; FHIRPath says `{right}`", at)
        return self.field(source, element)

    def field(self, source: Node, element: structure.Element) -> Node:
        """Touch an element of ``source``."""
        if source.shape is None:
            return Empty()
        shape = source.shape.child(element)
        if element.element_type == structure.ANY_RESOURCE:
            shape.is_whole = True
        is_many = source.is_many or element.is_list
        return Field(source, shape, element.element_type, is_many)

    def form(self, choice: Choice, type_name: str) -> Node | None:
        """``value.ofType(Quantity)``; None when the choice has no such form."""
        for element in self.forms(choice):
            if element.element_type == type_name:
                return self.field(choice.source, element)
        return None

    def forms(self, choice: Choice) -> tuple[structure.Element, ...]:
        known = structure.type_structure(choice.source.kind)
        return known.choices[choice.name] if known else ()

    def _element_of_choice(self, choice: Choice, name: str, at: int) -> Node:
        found = []
        for element in self.forms(choice):
            inner = structure.type_structure(element.element_type)
            if inner and (name in inner.elements or name in inner.choices) and name != "id":
                found.append(element)
        if not found:
            return self.unknown(f"any type of {choice.name}[x]", name, at, ())
        if len(found) == 1:
            return self.element(self.field(choice.source, found[0]), name, at)
        return self._element_of_forms(choice, found, name, at)

    def _element_of_forms(
        self, choice: Choice, forms: list[structure.Element], name: str, at: int
    ) -> Node:
        """``value.code`` where several forms have it: of the one that is there, item by item."""
        source = choice.source
        item = Variable("form", source.kind, source.shape) if source.is_many else source
        nodes = [self.element(self.field(item, form), name, at) for form in forms]
        plain = [node for node in nodes if node.kind in PRIMITIVES]
        if not plain:
            names = ", ".join(form.element_type for form in forms)
            raise PathError(
                f"`{name}` is an element of several types of {choice.name} ({names}): "
                f"choose one with {choice.name}.ofType(…)",
                at,
            )
        for form, node in zip(forms, nodes, strict=True):
            if node not in plain:
                self.warn(f"`{name}` of a {form.element_type} is {node.kind} and left out", at)
        found = functools.reduce(lambda left, right: sets.joined(self, left, right, at), plain)
        if source.is_many:
            return Map(source, "form", "", found, found.kind, found.shape)
        return found if any(node.is_many for node in plain) else self.one(found, at)

    def unknown(self, kind: str, name: str, at: int, known: tuple[str, ...]) -> Node:
        """An element that FHIR does not know: empty, with a warning."""
        hint = did_you_mean(name, known)
        self.warn(f"`{name}` is not an element of {kind}, so it is always empty{hint}", at)
        return Empty()

    def warn(self, message: str, at: int) -> None:
        """Note what is allowed but probably not meant."""
        self._problems.warn(self._where, message, self._path, at)

    # Values

    def _constant(self, expression: syntax.Constant, scope: Scope) -> Node:
        name = expression.name
        if name == "rowIndex":
            return scope.row_index
        if name in {"resource", "rootResource"}:
            return self.root
        if name == "context":
            return scope.start
        if name in _URLS and name not in self._constants:
            return Value(_URLS[name], "string")
        if name not in self._constants:
            hint = did_you_mean(name, self._constants)
            raise PathError(f"constant %{name} is not defined in this view{hint}", expression.at)
        constant = self._constants[name]
        return Value(constant.value, constant.fhir_type)

    def _indexed(self, expression: syntax.Indexer, scope: Scope) -> Node:
        source = self.resolve(expression.source, scope)
        position = self.one(self.resolve(expression.position, scope), expression.at)
        if position.kind not in INTEGERS:
            raise PathError("an index must be an integer", expression.position.at)
        source = self.settled(source, expression.at)
        if source.kind == ANYTHING:
            return source
        if isinstance(position, Value) and position.value == 0 and not source.is_many:
            return source
        return Apply("at", (self.many(source), position), source.kind, shape=source.shape)

    # Functions

    def _call(self, call: syntax.Call, scope: Scope) -> Node:
        if call.name in special_forms.SPECIAL_FORMS:
            return special_forms.SPECIAL_FORMS[call.name](self, call, scope)
        if call.name not in FUNCTIONS:
            raise PathError(special_forms.refusal(call.name), call.at)
        row = FUNCTIONS[call.name]
        given = len(call.arguments) + 1
        if not row.fewest <= given <= len(row.takes):
            raise PathError(f"{call.name}() {_arity(row)}, not {given - 1}", call.at)
        source = self.settled(self.resolve(call.source, scope), call.at)
        nodes = [source, *(self.resolve(a, scope) for a in call.arguments)]
        return self.apply(call.name, nodes, call.at)

    def apply(self, name: str, nodes: list[Node], at: int) -> Node:
        """A row of the function table over resolved arguments, each made what the row takes."""
        row = FUNCTIONS[name]
        if name in {"first", "last"} and not nodes[0].is_many:
            return nodes[0]
        if nodes[0].kind == ANYTHING:
            return Empty() if row.of_nothing is None else Value(row.of_nothing, row.kind)
        pairs = zip(nodes, row.takes, strict=False)
        ready = tuple(self._argument(node, takes, name, at) for node, takes in pairs)
        same = row.kind == SAME
        return Apply(
            name,
            ready,
            ready[0].kind if same else row.kind,
            row.gives_many,
            ready[0].shape if same else None,
        )

    def _argument(self, node: Node, takes: str, name: str, at: int) -> Node:
        if complaint := _WRITTEN[takes](node) if takes in _WRITTEN else "":
            raise PathError(f"{name}(): {complaint}", at)
        wanted = _FAMILIES.get(takes, takes.rstrip("*"))
        node = self.many(node) if takes.endswith("*") else self.one(node, at)
        if wanted == ANY:
            return node
        if wanted == NUMBER and family(node.kind) == NUMBER:
            return operators.number(node)
        if wanted == "text" and family(node.kind) in {"moment", "time"}:
            return node  # held as text
        if wanted != family(node.kind) and node.kind != ANYTHING:
            raise PathError(f"{name}() works on {wanted}, not on {node.kind}", at)
        return node

    # Cardinality and representation

    def settled(self, node: Node, at: int) -> Node:
        """Refuse a choice of types that nobody made."""
        if isinstance(node, Choice):
            names = ", ".join(e.element_type for e in self.forms(node)[:6])
            raise PathError(
                f"`{node.name}` may be of several types ({names}…): "
                f"choose one with {node.name}.ofType(…)",
                at,
            )
        return node

    def one(self, node: Node, at: int) -> Node:
        """At most one value; several are an error when the table is made."""
        node = self.settled(node, at)
        if not node.is_many:
            return node
        return Apply("single", (node,), node.kind, shape=node.shape)

    def many(self, node: Node) -> Node:
        """The same values as a list."""
        if node.is_many:
            return node
        return Apply("list_of_one", (node,), node.kind, is_many=True, shape=node.shape)

    def truth(self, node: Node, at: int) -> Node:
        """A boolean to decide with."""
        node = self.one(node, at)
        if node.kind not in {"boolean", ANYTHING}:
            raise PathError(f"expected true or false here, but this is {node.kind}", at)
        return node

    def text(self, node: Node, at: int) -> Node:
        """One primitive as text."""
        if node.kind == NUMBER:
            return Apply("text of number", (node,), "string")
        if node.kind in INTEGERS or node.kind == "boolean":
            return Apply("text", (node,), "string")
        if node.kind not in PRIMITIVES and node.kind != ANYTHING:
            raise PathError(f"a {node.kind} is not one value; name an element of it", at)
        return node

    def take_whole(self, node: Node) -> None:
        """Note that all of a complex element is wanted, not only what paths enter."""
        if node.shape is not None and node.kind not in PRIMITIVES:
            node.shape.is_whole = True

    def mapped(self, node: Node, function: str, kind: str) -> Node:
        """A conversion applied to one value, or to each of many."""
        if not node.is_many:
            return Apply(function, (node,), kind)
        item = Variable("each", node.kind, node.shape)
        return Map(node, "each", "", Apply(function, (item,), kind), kind, None)


def _not_a_pattern(node: Node) -> str:
    """What is wrong with a pattern that is written in the view."""
    return patterns.why_not(str(node.value)) if isinstance(node, Value) else ""


def _not_digits(node: Node) -> str:
    is_written = isinstance(node, Value) and node.kind in INTEGERS
    return "" if is_written else "write the number of digits as a number"


_WRITTEN = {PATTERN: _not_a_pattern, DIGITS: _not_digits}
_FAMILIES = {PATTERN: "text", DIGITS: NUMBER}


def _arity(row: Function) -> str:
    least, most = row.fewest - 1, len(row.takes) - 1
    count = str(most) if least == most else f"{least} to {most}"
    return f"takes {count} argument{'' if count == '1' else 's'}"
