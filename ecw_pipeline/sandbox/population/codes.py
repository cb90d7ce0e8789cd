"""Code systems, and the shapes codes and quantities take in FHIR. The code lists live beside
what uses them.
"""

from decimal import Decimal
from random import Random
from typing import Any

JsonObject = dict[str, Any]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX = "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
SANDBOX = "http://sandbox.example/"


def coding(system: str, code: str, display: str) -> JsonObject:
    """One Coding."""
    return {"system": system, "code": code, "display": display}


def concept(system: str, code: str, display: str) -> JsonObject:
    """A CodeableConcept of one coding; its text is the display."""
    return {"coding": [coding(system, code, display)], "text": display}


def term(name: str, code: str, display: str) -> JsonObject:
    """A CodeableConcept from one of HL7's own code systems."""
    return {"coding": [coding(TERMINOLOGY + name, code, display)], "text": display}


def quantity(value: Decimal, unit: str, code: str) -> JsonObject:
    """A Quantity in UCUM."""
    return {"value": value, "unit": unit, "system": UCUM, "code": code}


def decimal_between(random: Random, low: str, high: str) -> Decimal:
    """A decimal between two written with as many digits as the result shall have."""
    lowest, highest = Decimal(low), Decimal(high)
    places = -int(lowest.as_tuple().exponent)
    drawn = random.randint(int(lowest.scaleb(places)), int(highest.scaleb(places)))
    return Decimal(drawn).scaleb(-places)


def identifier(kind: str, value: str) -> JsonObject:
    """An identifier of the sandbox's own making."""
    return {"use": "usual", "system": f"{SANDBOX}{kind}", "value": value}
