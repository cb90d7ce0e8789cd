"""Tokens to a syntax tree, by operator precedence (a Pratt parser).

Source: FHIRPath 2.0, "Operator Precedence" and its grammar.
"""

from functools import lru_cache

from ecw_pipeline.sql_on_fhir.lexer import Token, TokenKind, tokens
from ecw_pipeline.sql_on_fhir.problems import PathError
from ecw_pipeline.sql_on_fhir.syntax import (
    Binary,
    Call,
    Constant,
    EmptySet,
    Expression,
    Index,
    Indexer,
    Member,
    Moment,
    Number,
    Text,
    This,
    Truth,
    TypeTest,
    Unary,
)

# Binding power of each operator; a higher one holds its operands tighter.
BINDING_POWER = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    "=": 5,
    "!=": 5,
    "~": 5,
    "!~": 5,
    "<": 6,
    "<=": 6,
    ">": 6,
    ">=": 6,
    "|": 7,
    "is": 8,
    "as": 8,
    "+": 9,
    "-": 9,
    "&": 9,
    "*": 10,
    "/": 10,
    "div": 10,
    "mod": 10,
    ".": 12,
    "[": 12,
}
_UNARY_POWER = 11
_WORDS = frozenset(word for word in BINDING_POWER if word.isalpha())
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
_CALENDAR_UNITS = frozenset({*_UNITS, *(f"{unit}s" for unit in _UNITS)})
_MAX_DEPTH = 60
_MAX_TOKENS = 2_000


@lru_cache(maxsize=4096)  # the views of a folder have most of their paths in common
def parse(path: str) -> Expression:
    """Read a whole path.

    Raises:
        PathError: with the character at which the path stops making sense.
    """
    words = tokens(path)
    if len(words) > _MAX_TOKENS:
        raise PathError(f"the path is too long (over {_MAX_TOKENS} words)", words[_MAX_TOKENS].at)
    parser = _Parser(words)
    expression = parser.expression(0)
    rest = parser.peek()
    if rest.kind is not TokenKind.END:
        raise PathError(f"unexpected {_shown(rest)}", rest.at)
    return expression


class _Parser:
    """A position in the tokens, and how deep the expression around it is."""

    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._next = 0
        self._depth = 0

    def peek(self) -> Token:
        return self._words[self._next]

    def take(self) -> Token:
        token = self._words[self._next]
        self._next = min(self._next + 1, len(self._words) - 1)
        return token

    def expect(self, symbol: str) -> Token:
        token = self.peek()
        if not token.is_symbol(symbol):
            raise PathError(f"expected {symbol} but found {_shown(token)}", token.at)
        return self.take()

    def expression(self, least_power: int) -> Expression:
        """Read operands and operators that bind tighter than ``least_power``."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise PathError(f"nested more than {_MAX_DEPTH} deep", self.peek().at)
        left = self._operand()
        operators = 0
        while (power := _power(self.peek())) > least_power:
            left = self._continued(left, power)
            operators += 1
            if operators > 4 * _MAX_DEPTH:
                raise PathError("too many operators in a row", self.peek().at)
        self._depth -= 1
        return left

    def _continued(self, left: Expression, power: int) -> Expression:
        token = self.take()
        match token.text:
            case ".":
                return self._invocation(left)
            case "[":
                position = self.expression(0)
                self.expect("]")
                return Indexer(left, position, token.at)
            case "is" | "as":
                return TypeTest(token.text, left, self._type_name(), token.at)
        return Binary(token.text, left, self.expression(power), token.at)

    def _operand(self) -> Expression:
        token = self.take()
        match token.kind:
            case TokenKind.STRING:
                return Text(token.text, token.at)
            case TokenKind.NUMBER:
                return self._number(token)
            case TokenKind.DATETIME:
                return Moment(token.text, token.at)
            case TokenKind.CONSTANT:
                return Constant(token.text, token.at)
            case TokenKind.SPECIAL:
                return _special(token)
            case TokenKind.NAME:
                return self._named(This(token.at), token)
            case _:
                return self._bracketed(token)

    def _bracketed(self, token: Token) -> Expression:
        if token.is_symbol("("):
            inside = self.expression(0)
            self.expect(")")
            return inside
        if token.is_symbol("{"):
            self.expect("}")
            return EmptySet(token.at)
        if token.is_symbol("-") or token.is_symbol("+"):
            return Unary(token.text, self.expression(_UNARY_POWER), token.at)
        raise PathError(f"expected a value or a name but found {_shown(token)}", token.at)

    def _number(self, token: Token) -> Expression:
        unit = self.peek()
        if unit.kind is TokenKind.STRING or any(map(unit.is_word, _CALENDAR_UNITS)):
            raise PathError("quantities with units are not supported: compare .value", unit.at)
        return Number(token.text, token.at)

    def _invocation(self, left: Expression) -> Expression:
        token = self.take()
        if token.kind is TokenKind.SPECIAL:
            raise PathError(f"{token.text} cannot follow a dot", token.at)
        if token.kind is not TokenKind.NAME:
            raise PathError(f"expected a name after . but found {_shown(token)}", token.at)
        return self._named(left, token)

    def _named(self, source: Expression, token: Token) -> Expression:
        if self.peek().is_symbol("("):
            self.take()
            return Call(source, token.text, self._arguments(), token.at)
        if isinstance(source, This) and not token.is_delimited and token.text in {"true", "false"}:
            return Truth(token.text == "true", token.at)
        return Member(source, token.text, token.at)

    def _arguments(self) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while not self.peek().is_symbol(")"):
            if found:
                self.expect(",")
            found.append(self.expression(0))
        self.expect(")")
        return tuple(found)

    def _type_name(self) -> str:
        token = self.take()
        if token.kind is not TokenKind.NAME:
            raise PathError(f"expected a type but found {_shown(token)}", token.at)
        if not self.peek().is_symbol("."):
            return token.text
        self.take()
        return self._type_name()  # FHIR.Quantity, System.String: the last word says it


def _special(token: Token) -> Expression:
    match token.text:
        case "$this":
            return This(token.at)
        case "$index":
            return Index(token.at)
    raise PathError(f"{token.text} is not supported", token.at)


def _power(token: Token) -> int:
    if token.kind is TokenKind.SYMBOL or any(token.is_word(word) for word in _WORDS):
        return BINDING_POWER.get(token.text, 0)
    return 0


def _shown(token: Token) -> str:
    return "the end of the path" if token.kind is TokenKind.END else repr(token.text)
