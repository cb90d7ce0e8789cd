"""FHIR types as msgspec types, so that one fast decode finds elements of the wrong JSON type.

A type inside itself (a Reference in an Identifier in a Reference) and extensions are not entered:
what is wrong there is found when a table reads it.
"""

from functools import cache
from typing import Any

import msgspec

from ecw_pipeline.fhir.structure import ANY_RESOURCE, Element, TypeStructure, type_structure

_JSON_TYPES: dict[str, Any] = {
    "boolean": bool,
    "integer": int,
    "integer64": int,
    "positiveInt": int,
    "unsignedInt": int,
    "decimal": float,
}
_NOT_ENTERED = frozenset({"Extension", ANY_RESOURCE})


class Envelope(msgspec.Struct, gc=False):
    """What every resource has, whatever its type."""

    resourceType: Any = None  # noqa: N815 - FHIR's own name
    id: Any = None


@cache
def shape_of(resource_type: str) -> type[Envelope]:
    """A struct of a resource type's elements; the bare envelope for a type R4 does not know."""
    structure = type_structure(resource_type)
    if structure is None:
        return Envelope
    shape: type[Envelope] = _struct(structure, (resource_type,), Envelope)
    return shape


def _struct(structure: TypeStructure, inside: tuple[str, ...], base: type) -> Any:
    """Build the struct; its fields have safe names, because FHIR's may be Python keywords."""
    elements = [
        e for e in structure.elements.values() if e.json_name not in Envelope.__struct_fields__
    ]
    names = {f"f{index}": element.json_name for index, element in enumerate(elements)}
    fields = [
        (f"f{index}", _or_null(_field_type(element, inside)), None)
        for index, element in enumerate(elements)
    ]
    return msgspec.defstruct(
        structure.name.replace(".", "_"), fields, bases=(base,), rename=names, gc=False
    )


def _field_type(element: Element, inside: tuple[str, ...]) -> Any:
    one = _JSON_TYPES.get(element.element_type, str)
    if not element.is_primitive:
        one = _complex_type(element.element_type, inside)
    elif element.is_list:
        one = _or_null(one)  # where a value has only an extension; objects leave no gaps
    return list[one] if element.is_list else one  # type: ignore[valid-type]


def _or_null(json_type: Any) -> Any:
    """JSON null stands for an absent value; Raw takes it already."""
    return json_type if json_type is msgspec.Raw else json_type | None


def _complex_type(name: str, inside: tuple[str, ...]) -> Any:
    structure = type_structure(name)
    if structure is None or name in inside or name in _NOT_ENTERED:
        return msgspec.Raw
    return _cached_struct(name, inside)


@cache
def _cached_struct(name: str, inside: tuple[str, ...]) -> Any:
    structure = type_structure(name)
    return _struct(structure, (*inside, name), msgspec.Struct) if structure else msgspec.Raw
