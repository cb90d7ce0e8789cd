"""The columns the pipeline adds to every table, as columns of the view.

A table needs them so that any view, also one that only iterates, can be merged by resource: the
resource's id, the patient and encounter it belongs to, when it was last updated, and the line it
came from. Which element names the patient is read from FHIR's structure.
"""

from dataclasses import dataclass

from ecw_pipeline.fhir import structure
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.sql_on_fhir.view_definition import ColumnDefinition

# Screening adds this to each line; it is not FHIR.
LINE_KEY = "ecw_line"
_OTHER_RESERVED = (
    *("connection_id", "export_id", "source_file", "source_line", "meta_last_updated"),
    *("valid_from", "valid_to", "closed_by"),  # closed versions have these besides
)
_PATIENT_ELEMENTS = ("patient", "subject", "beneficiary", "for", "individual", "candidate")
_ENCOUNTER_ELEMENTS = ("encounter", "context")


@dataclass(frozen=True)
class KeyColumns:
    """What stands before the view's columns and after them."""

    before: tuple[ColumnDefinition, ...]
    last_updated: ColumnDefinition
    line: ColumnDefinition

    @property
    def injected(self) -> frozenset[str]:
        return frozenset(c.name for c in (*self.before, self.last_updated, self.line))


def key_columns(resource: str) -> KeyColumns:
    """The added columns of a resource type's tables."""
    own_name = f"{snake_case(resource)}_id"
    before = [_key(own_name, "id", f"FHIR id of the {resource}")]
    patient = _reference_path(resource, _PATIENT_ELEMENTS, "Patient")
    if patient and resource != "Patient":
        before.append(_key("patient_id", patient, "FHIR id of the patient it is about"))
    encounter = _encounter_path(resource)
    if encounter and resource != "Encounter":
        before.append(_key("encounter_id", encounter, "FHIR id of the encounter it belongs to"))
    return KeyColumns(
        tuple(before),
        _key("meta_last_updated", "meta.lastUpdated", "when the server last changed it, as sent"),
        _key("source_line", "", "line of the received file"),
    )


def reserved_names(resource: str) -> frozenset[str]:
    """Names a view's own columns may not have in the warehouse."""
    keys = {f"{snake_case(resource)}_id", "patient_id", "encounter_id"}
    return frozenset(keys.union(_OTHER_RESERVED))


def _key(name: str, path: str, description: str) -> ColumnDefinition:
    return ColumnDefinition(f"(added) {name}", name, path, "string", description)


def _reference_path(resource: str, names: tuple[str, ...], target: str) -> str:
    known = structure.type_structure(resource)
    for name in names:
        element = known.elements.get(name) if known else None
        if element and element.element_type == "Reference" and _may_point(element, target):
            first = ".first()" if element.is_list else ""
            return f"{name}.getReferenceKey({target}){first}"
    return ""


def _encounter_path(resource: str) -> str:
    if direct := _reference_path(resource, _ENCOUNTER_ELEMENTS, "Encounter"):
        return direct
    known = structure.type_structure(resource)
    context = known.elements.get("context") if known else None
    if context is None or context.element_type == "Reference":
        return ""
    path = _reference_path(context.element_type, ("encounter",), "Encounter")
    return f"context.{path}" if path else ""


def _may_point(element: structure.Element, target: str) -> bool:
    return not element.targets or bool({target, "Resource"} & set(element.targets))
