"""What a FHIRPath says, as a tree. Nothing here knows FHIR's types.

Every node carries ``at``, the character of the path an error about it should point to.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Text:
    value: str
    at: int


@dataclass(frozen=True)
class Number:
    """``1`` or ``1.10``; the digits are kept as written."""

    digits: str
    at: int


@dataclass(frozen=True)
class Moment:
    """``@2015``, ``@2015-02-04T14:34:28Z``, ``@T12:00``, without the @."""

    text: str
    at: int


@dataclass(frozen=True)
class Truth:
    value: bool
    at: int


@dataclass(frozen=True)
class EmptySet:
    """``{}``"""

    at: int


@dataclass(frozen=True)
class Constant:
    """``%name``"""

    name: str
    at: int


@dataclass(frozen=True)
class This:
    """``$this``, and the unwritten start of every path."""

    at: int


@dataclass(frozen=True)
class Index:
    """``$index``"""

    at: int


@dataclass(frozen=True)
class Member:
    """``source.name``"""

    source: "Expression"
    name: str
    at: int


@dataclass(frozen=True)
class Call:
    """``source.name(arguments)``"""

    source: "Expression"
    name: str
    arguments: tuple["Expression", ...]
    at: int


@dataclass(frozen=True)
class Indexer:
    """``source[position]``"""

    source: "Expression"
    position: "Expression"
    at: int


@dataclass(frozen=True)
class Unary:
    """``-operand`` or ``+operand``"""

    operator: str
    operand: "Expression"
    at: int


@dataclass(frozen=True)
class Binary:
    """``left operator right``"""

    operator: str
    left: "Expression"
    right: "Expression"
    at: int


@dataclass(frozen=True)
class TypeTest:
    """``source is Type`` or ``source as Type``"""

    operator: str
    source: "Expression"
    type_name: str
    at: int


Expression: TypeAlias = (
    Text
    | Number
    | Moment
    | Truth
    | EmptySet
    | Constant
    | This
    | Index
    | Member
    | Call
    | Indexer
    | Unary
    | Binary
    | TypeTest
)
