"""The type a column declares: which FHIR type it names, and which values such a column may hold.

A type is written as the URI of its StructureDefinition, in full or as the name alone; a part of a
resource by its element, ``Observation.referenceRange``; FHIRPath's own as ``System.String``.

Source: SQL on FHIR, "ViewDefinition", ``column.type``; FHIR R4, "Element Definition", ``id``.
"""

from ecw_pipeline.fhir import structure
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, INTEGERS, PRIMITIVES, family

# FHIRPath's own names of the primitives.
SYSTEM_TYPES = {"Boolean": "boolean", "String": "string", "Integer": "integer",
                "Long": "integer64", "Decimal": "decimal", "Date": "date", "DateTime": "dateTime",
                "Time": "time"}  # fmt: skip
# Types that FHIR only derives others from: any object is one.
_ABSTRACT = frozenset({"Element", "BackboneElement"})
QUANTITIES = frozenset({"Age", "Count", "Distance", "Duration"})


def type_name(text: str) -> str:
    """The name of the type that a column's ``type`` means; as it is where there is no such one."""
    name = text.rsplit("/", 1)[-1]
    namespace, _, rest = name.partition(".")
    if namespace == "System":
        return SYSTEM_TYPES.get(rest, name)
    part = namespace
    for element in filter(None, rest.split(".")):
        holder = structure.type_structure(part)
        if holder is None or element not in holder.elements:
            return name
        part = holder.elements[element].element_type
    return part


def is_type(name: str) -> bool:
    return name in PRIMITIVES | _ABSTRACT or structure.type_structure(name) is not None


def accepts(declared: str, found: str) -> bool:
    """Whether a column declared as one FHIR type may hold a path of another kind."""
    if found == ANYTHING or declared == found:
        return True
    if declared in _ABSTRACT:
        return found not in PRIMITIVES
    if declared == "Quantity":
        return found in QUANTITIES
    if family(declared) == "text":
        return found in PRIMITIVES
    if declared in INTEGERS:
        return found in INTEGERS
    return family(declared) == family(found)
