"""FHIR's own description of its types: which elements each has, of what type, how many.

The data is `r4_elements.json`, derived once by ``tools/derive_structure.py`` from the R4B models
of fhir.resources. R4B and R4 agree on every type a clinical export holds; they differ where R4B
replaced a family of resources (the medicinal product and evidence types, DeviceDefinition's
neighbours) and added NutritionProduct, SubscriptionStatus, CodeableReference and RatioRange.
R4's own names for those (``MedicinalProduct…``, ``EffectEvidenceSynthesis``) are unknown here.

What a value looks like in SQL is not said here: see ``sql_on_fhir``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources as package_files
from typing import Any

PRIMITIVE_TYPES = frozenset(
    {
        *("boolean", "integer", "positiveInt", "unsignedInt", "decimal"),
        *("date", "dateTime", "instant", "time"),
        *("string", "code", "id", "markdown", "xhtml", "base64Binary"),
        *("uri", "url", "canonical", "oid", "uuid"),
    }
)
# A resource whose type is known only from its own ``resourceType``: contained, Bundle entries.
ANY_RESOURCE = "Resource"
_CHOICE = "[x]"


@dataclass(frozen=True)
class Element:
    """One element of a type.

    Args:
        json_name: its key in JSON, ``valueQuantity``.
        choice: the FHIRPath name it is one form of, ``value``; empty for a plain element.
        targets: resource types a Reference may point to; empty when any or not a Reference.
    """

    json_name: str
    element_type: str
    is_list: bool
    choice: str = ""
    targets: tuple[str, ...] = ()

    @property
    def is_primitive(self) -> bool:
        return self.element_type in PRIMITIVE_TYPES


@dataclass(frozen=True)
class TypeStructure:
    """The elements of one type by their key in JSON, and its choices by their FHIRPath name."""

    name: str
    elements: Mapping[str, Element] = field(default_factory=dict)
    choices: Mapping[str, tuple[Element, ...]] = field(default_factory=dict)

    @property
    def element_names(self) -> tuple[str, ...]:
        """What FHIRPath can ask for: plain elements and the bases of choices."""
        plain = [name for name, element in self.elements.items() if not element.choice]
        return (*plain, *self.choices)


def resource_types() -> tuple[str, ...]:
    """Every resource type that can be exported, in alphabetical order."""
    return tuple(_definitions()["resources"])


def type_names() -> tuple[str, ...]:
    """Every type there is: primitives, data types, resources and the parts of resources."""
    return (*sorted(PRIMITIVE_TYPES), *_definitions()["types"])


def is_resource(type_name: str) -> bool:
    return type_name in _resource_set()


def is_primitive(type_name: str) -> bool:
    return type_name in PRIMITIVE_TYPES


@cache
def type_structure(type_name: str) -> TypeStructure | None:
    """The structure of a resource or complex type; None for a primitive or an unknown name."""
    if is_primitive(type_name):
        return None
    spelt = _definitions()["types"].get(type_name)
    if spelt is None:
        return None
    elements = _common_elements(type_name)
    choices: dict[str, tuple[Element, ...]] = {}
    for name, text in spelt.items():
        if name.endswith(_CHOICE):
            base = name.removesuffix(_CHOICE)
            forms = tuple(_choice_form(base, part) for part in text.split())
            choices[base] = forms
            elements |= {form.json_name: form for form in forms}
        else:
            elements[name] = _element(name, text)
    return TypeStructure(type_name, elements, choices)


@cache
def decimal_keys() -> frozenset[str]:
    """JSON keys that hold a FHIR decimal in at least one type, ``value`` and ``valueDecimal``.

    Screening quotes the numbers under these keys. Some are integers elsewhere; those are read
    as integers from the quoted text.
    """
    keys = set()
    for name in _definitions()["types"]:
        structure = type_structure(name)
        for element in structure.elements.values() if structure else ():
            if element.element_type == "decimal":
                keys.add(element.json_name)
    return frozenset(keys)


@cache
def _definitions() -> Any:
    text = package_files.files(__package__).joinpath("r4_elements.json").read_text("utf-8")
    return json.loads(text)


@cache
def _resource_set() -> frozenset[str]:
    return frozenset(resource_types())


def _common_elements(type_name: str) -> dict[str, Element]:
    """``id`` and ``extension``, which the data leaves out because nearly every type has them."""
    if is_resource(type_name) or type_name == ANY_RESOURCE:
        common = {
            "id": Element("id", "id", False),
            "resourceType": Element("resourceType", "code", False),
        }
    else:
        common = {"id": Element("id", "string", False)}
    if type_name not in {ANY_RESOURCE, "Bundle", "Binary", "Parameters"}:
        common["extension"] = Element("extension", "Extension", True)
    return common


def _choice_form(base: str, text: str) -> Element:
    form = _element("", text)
    name = base + form.element_type[0].upper() + form.element_type[1:]
    return Element(name, form.element_type, False, base, form.targets)


def _element(name: str, text: str) -> Element:
    """Read ``Reference*(Patient,Group)``."""
    kind, _, targets = text.rstrip(")").partition("(")
    return Element(
        name, kind.rstrip("*"), kind.endswith("*"), "", tuple(t for t in targets.split(",") if t)
    )
