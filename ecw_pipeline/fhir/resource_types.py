"""Which resource types there are, and how their names are spelt in SQL."""

import re

# The brief's types, in the order people read them.
STANDARD_TYPES = (
    "Patient",
    "Observation",
    "Condition",
    "MedicationRequest",
    "AllergyIntolerance",
    "Immunization",
    "Procedure",
)
ENHANCED_TYPES = ("DiagnosticReport", "CarePlan", "Encounter", "Communication", "Task")
BRIEF_TYPES = STANDARD_TYPES + ENHANCED_TYPES

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{0,63}")


def snake_case(resource_type: str) -> str:
    """``MedicationRequest`` → ``medication_request``."""
    return _WORD_START.sub("_", resource_type).lower()


def is_type_name(text: str) -> bool:
    """Whether ``text`` can be the name of a resource type, and so of a folder."""
    return _TYPE_NAME.fullmatch(text) is not None
