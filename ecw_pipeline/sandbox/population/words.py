"""Resources written as data: JSON in which words that begin with ``@`` stand for something.

``@concept snomed 44054006 Diabetes``, ``@coding …`` and ``@quantity 40 a`` are short for what FHIR
spells out; ``@Location/loc-main Main Street Office`` refers to one of the practice's. What words
there are beside these, about a chart, is told in ``filling``.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from ecw_pipeline.sandbox.population.codes import (
    ICD10,
    LOINC,
    RXNORM,
    SNOMED,
    TERMINOLOGY,
    JsonObject,
    coding,
    quantity,
)

_FOLDER = Path(__file__).parent
_SYSTEMS = {
    "snomed": SNOMED,
    "loinc": LOINC,
    "icd10": ICD10,
    "rxnorm": RXNORM,
    "cpt": "http://www.ama-assn.org/go/cpt",
    "ndc": "http://hl7.org/fhir/sid/ndc",
    "nucc": "http://nucc.org/provider-taxonomy",
    "gender": "http://hl7.org/fhir/administrative-gender",
    "language": "urn:ietf:bcp:47",
}


@cache
def written_templates(name: str) -> Any:
    """A file of templates; shared, so nobody may change what it holds."""
    return json.loads((_FOLDER / name).read_text(encoding="utf-8"), parse_float=Decimal)


def fill(value: Any, word: Callable[[str], Any]) -> Any:
    """A template with each of its words replaced."""
    if isinstance(value, dict):
        return {name: fill(inner, word) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, word) for inner in value]
    if isinstance(value, str) and value.startswith("@"):
        return word(value[1:])
    return value


def short_word(text: str) -> JsonObject:
    """What a word that needs no chart stands for: a code, a quantity, one of the practice's."""
    verb, _, rest = text.partition(" ")
    return _SHORT[verb](rest) if verb in _SHORT else {"reference": verb, "display": rest}


def with_changes(old: Any, changes: Any) -> Any:
    """A value after a merge patch: null takes away, lists are replaced.

    Source: RFC 7386.
    """
    if not isinstance(changes, dict) or not isinstance(old, dict):
        return changes
    merged = {name: value for name, value in old.items() if changes.get(name, value) is not None}
    for name, value in changes.items():
        if value is not None:
            merged[name] = with_changes(old.get(name), value)
    return merged


def _concept(text: str) -> JsonObject:
    held = _coding(text)
    return {"coding": [held], "text": held["display"]}


def _coding(text: str) -> JsonObject:
    system, code, display = text.split(" ", 2)
    return coding(_SYSTEMS.get(system, TERMINOLOGY + system), code, display)


def _quantity(text: str) -> JsonObject:
    value, unit = text.split(" ")
    return quantity(Decimal(value), unit, unit)


_SHORT: dict[str, Callable[[str], JsonObject]] = {
    "concept": _concept,
    "coding": _coding,
    "quantity": _quantity,
}
