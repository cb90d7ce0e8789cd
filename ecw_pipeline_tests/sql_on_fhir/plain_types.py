"""FHIR's types for the plain reading, straight from the models of fhir.resources.

The compiler's own table was made from these models by another program, once; here they are asked
themselves.
"""

import typing
from functools import cache
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

PARENTS = {
    "code": "string", "id": "string", "markdown": "string",
    "url": "uri", "canonical": "uri", "uuid": "uri", "oid": "uri",
    "positiveInt": "integer", "unsignedInt": "integer",
    "Age": "Quantity", "Count": "Quantity", "Distance": "Quantity", "Duration": "Quantity",
}  # fmt: skip
NAMES = {"encodedBytes": "base64Binary", "uuidVersion": "uuid", "bool": "boolean"}
INTEGERS = {"integer", "positiveInt", "unsignedInt", "integer64"}
MOMENTS = {"date", "dateTime", "instant"}


@cache
def elements(kind: str) -> dict[str, tuple[str, str]]:
    """JSON's name of each element → its type, and the choice it is a form of."""
    fields: Any = get_fhir_model_class(kind).model_fields.values()
    return {
        field.alias: (
            type_of(field.annotation),
            (field.json_schema_extra or {}).get("one_of_many") or "",
        )
        for field in fields
        if not field.alias.startswith("_")
    }


def is_primitive(kind: str) -> bool:
    return kind[0].islower()


def is_subtype(kind: str, of: str) -> bool:
    if of in {"Resource", "DomainResource"}:
        return is_resource(kind)
    return kind == of or (kind in PARENTS and is_subtype(PARENTS[kind], of))


@cache
def is_resource(kind: str) -> bool:
    if is_primitive(kind):
        return False
    return "Resource" in {base.__name__ for base in get_fhir_model_class(kind).__mro__}


def type_of(annotation: Any) -> str:
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        name = type(inner[1]).__name__
        name = name[0].lower() + name[1:]
        return NAMES.get(name, name)
    if inner:  # a list, or an optional value
        return type_of(next(part for part in inner if part is not type(None)))
    if klass := getattr(annotation, "_model_klass", None):
        return str(klass).rsplit(".", 1)[-1]
    short: str = annotation.__name__.removesuffix("Type")
    return NAMES.get(short, short)
