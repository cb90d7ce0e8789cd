"""How many rows each child table owes a resource, read from plain JSON.

Each entry names the elements whose items are rows, as keys of JSON; several elements add up. It
shares nothing with the views but the names of the tables.
"""

from collections.abc import Iterator, Mapping
from typing import Any

CHILD_ELEMENTS: dict[str, tuple[str, ...]] = {
    "allergy_intolerance_coding": (
        "code.coding", "clinicalStatus.coding", "verificationStatus.coding",
        "reaction.substance.coding",
    ),
    "allergy_intolerance_identifier": ("identifier",),
    "allergy_intolerance_manifestation": ("reaction.manifestation",),
    "allergy_intolerance_note": ("note",),
    "allergy_intolerance_reaction": ("reaction",),
    "care_plan_activity": ("activity",),
    "care_plan_activity_outcome": (
        "activity.outcomeCodeableConcept", "activity.outcomeReference",
    ),
    "care_plan_activity_progress": ("activity.progress",),
    "care_plan_category": ("category",),
    "care_plan_coding": (
        "category.coding", "activity.detail.code.coding", "activity.detail.reasonCode.coding",
        "activity.outcomeCodeableConcept.coding",
    ),
    "care_plan_goal": ("goal",),
    "care_plan_identifier": ("identifier",),
    "care_plan_note": ("note",),
    "care_plan_reference": (
        "addresses", "careTeam", "contributor", "basedOn", "partOf", "replaces", "supportingInfo",
    ),
    "care_team_coding": ("category.coding", "reasonCode.coding", "participant.role.coding"),
    "care_team_identifier": ("identifier",),
    "care_team_note": ("note",),
    "care_team_participant": ("participant",),
    "care_team_reference": ("reasonReference", "managingOrganization"),
    "care_team_telecom": ("telecom",),
    "charge_item_coding": (
        "code.coding", "bodysite.coding", "reason.coding", "performer.function.coding",
    ),
    "charge_item_identifier": ("identifier",),
    "charge_item_note": ("note",),
    "charge_item_reference": (
        "performer.actor", "service", "account", "partOf", "supportingInformation",
    ),
    "claim_coding": (
        "type.coding", "subType.coding", "priority.coding", "fundsReserve.coding",
        "item.productOrService.coding", "item.modifier.coding", "item.revenue.coding",
        "diagnosis.diagnosisCodeableConcept.coding",
        "procedure.procedureCodeableConcept.coding",
    ),
    "claim_diagnosis": ("diagnosis",),
    "claim_identifier": ("identifier",),
    "claim_item": ("item",),
    "claim_reference": (
        "insurance.coverage", "careTeam.provider", "diagnosis.diagnosisReference",
        "procedure.procedureReference", "supportingInfo.valueReference", "item.encounter",
        "related.claim",
    ),
    "communication_coding": (
        "category.coding", "medium.coding", "topic.coding", "reasonCode.coding",
        "statusReason.coding",
    ),
    "communication_identifier": ("identifier",),
    "communication_note": ("note",),
    "communication_payload": ("payload",),
    "communication_recipient": ("recipient",),
    "communication_reference": (
        "inResponseTo", "about", "reasonReference", "basedOn", "partOf",
    ),
    "condition_category": ("category",),
    "condition_coding": (
        "code.coding", "category.coding", "severity.coding", "bodySite.coding",
        "clinicalStatus.coding", "verificationStatus.coding", "stage.summary.coding",
        "evidence.code.coding",
    ),
    "condition_identifier": ("identifier",),
    "condition_note": ("note",),
    "condition_reference": ("evidence.detail", "stage.assessment"),
    "coverage_class": ("class",),
    "coverage_coding": (
        "type.coding", "relationship.coding", "class.type.coding",
        "costToBeneficiary.type.coding",
    ),
    "coverage_identifier": ("identifier",),
    "coverage_reference": ("payor", "contract"),
    "device_coding": (
        "type.coding", "statusReason.coding", "safety.coding",
        "specialization.systemType.coding",
    ),
    "device_identifier": ("identifier",),
    "device_note": ("note",),
    "diagnostic_report_category": ("category",),
    "diagnostic_report_coding": ("code.coding", "category.coding", "conclusionCode.coding"),
    "diagnostic_report_identifier": ("identifier",),
    "diagnostic_report_presented_form": ("presentedForm",),
    "diagnostic_report_reference": (
        "basedOn", "performer", "resultsInterpreter", "specimen", "imagingStudy", "media.link",
    ),
    "diagnostic_report_result": ("result",),
    "document_reference_coding": (
        "type.coding", "category.coding", "securityLabel.coding", "context.event.coding",
        "context.facilityType.coding", "context.practiceSetting.coding",
    ),
    "document_reference_content": ("content",),
    "document_reference_identifier": ("identifier",),
    "document_reference_reference": (
        "author", "relatesTo.target", "context.encounter", "context.related",
    ),
    "encounter_coding": (
        "class", "type.coding", "serviceType.coding", "priority.coding", "reasonCode.coding",
        "diagnosis.use.coding", "participant.type.coding", "hospitalization.admitSource.coding",
        "hospitalization.dischargeDisposition.coding", "hospitalization.dietPreference.coding",
        "hospitalization.specialCourtesy.coding", "hospitalization.specialArrangement.coding",
    ),
    "encounter_diagnosis": ("diagnosis",),
    "encounter_history": ("statusHistory", "classHistory"),
    "encounter_identifier": ("identifier",),
    "encounter_location": ("location",),
    "encounter_participant": ("participant",),
    "encounter_reason": ("reasonCode",),
    "encounter_reference": (
        "reasonReference", "episodeOfCare", "basedOn", "appointment", "account",
    ),
    "encounter_type": ("type",),
    "family_member_history_coding": (
        "dataAbsentReason.coding", "relationship.coding", "sex.coding", "reasonCode.coding",
        "condition.code.coding", "condition.outcome.coding",
    ),
    "family_member_history_condition": ("condition",),
    "family_member_history_identifier": ("identifier",),
    "family_member_history_note": ("note",),
    "goal_identifier": ("identifier",),
    "goal_note": ("note",),
    "goal_target": ("target",),
    "group_identifier": ("identifier",),
    "group_member": ("member",),
    "immunization_coding": (
        "vaccineCode.coding", "statusReason.coding", "reasonCode.coding", "site.coding",
        "route.coding", "reportOrigin.coding", "subpotentReason.coding",
        "programEligibility.coding", "fundingSource.coding", "protocolApplied.targetDisease.coding",
    ),
    "immunization_identifier": ("identifier",),
    "immunization_note": ("note",),
    "immunization_performer": ("performer",),
    "immunization_protocol": ("protocolApplied",),
    "immunization_reaction": ("reaction",),
    "location_identifier": ("identifier",),
    "location_telecom": ("telecom",),
    "media_coding": (
        "type.coding", "modality.coding", "view.coding", "reasonCode.coding",
        "bodySite.coding",
    ),
    "media_identifier": ("identifier",),
    "media_note": ("note",),
    "medication_administration_coding": (
        "statusReason.coding", "category.coding", "medicationCodeableConcept.coding",
        "reasonCode.coding", "dosage.route.coding", "dosage.site.coding",
        "dosage.method.coding",
    ),
    "medication_administration_identifier": ("identifier",),
    "medication_administration_note": ("note",),
    "medication_administration_reference": (
        "performer.actor", "reasonReference", "device", "partOf", "supportingInformation",
        "eventHistory",
    ),
    "medication_coding": ("code.coding", "form.coding", "ingredient.itemCodeableConcept.coding"),
    "medication_dispense_coding": (
        "category.coding", "statusReasonCodeableConcept.coding",
        "medicationCodeableConcept.coding", "type.coding", "substitution.type.coding",
        "substitution.reason.coding",
    ),
    "medication_dispense_dosage": ("dosageInstruction",),
    "medication_dispense_identifier": ("identifier",),
    "medication_dispense_note": ("note",),
    "medication_dispense_reference": (
        "performer.actor", "authorizingPrescription", "receiver", "supportingInformation",
        "detectedIssue", "partOf", "substitution.responsibleParty",
    ),
    "medication_identifier": ("identifier",),
    "medication_ingredient": ("ingredient",),
    "medication_request_coding": (
        "medicationCodeableConcept.coding", "category.coding", "reasonCode.coding",
        "statusReason.coding", "courseOfTherapyType.coding", "performerType.coding",
    ),
    "medication_request_dosage": ("dosageInstruction",),
    "medication_request_identifier": ("identifier",),
    "medication_request_note": ("note",),
    "medication_request_reference": (
        "reasonReference", "basedOn", "insurance", "supportingInformation", "detectedIssue",
        "eventHistory",
    ),
    "observation_category": ("category",),
    "observation_coding": (
        "code.coding", "valueCodeableConcept.coding", "category.coding", "interpretation.coding",
        "dataAbsentReason.coding", "bodySite.coding", "method.coding",
    ),
    "observation_component": ("component",),
    "observation_component_coding": (
        "component.code.coding", "component.valueCodeableConcept.coding",
    ),
    "observation_identifier": ("identifier",),
    "observation_note": ("note",),
    "observation_reference": (
        "basedOn", "partOf", "focus", "performer", "hasMember", "derivedFrom",
    ),
    "observation_reference_range": ("referenceRange",),
    "organization_address": ("address",),
    "organization_identifier": ("identifier",),
    "organization_telecom": ("telecom",),
    "patient_address": ("address",),
    "patient_communication": ("communication",),
    "patient_contact": ("contact",),
    "patient_identifier": ("identifier",),
    "patient_name": ("name",),
    "patient_race": ("extension=us-core-race.extension", "extension=us-core-ethnicity.extension"),
    "patient_reference": ("generalPractitioner", "link.other"),
    "patient_telecom": ("telecom",),
    "practitioner_address": ("address",),
    "practitioner_identifier": ("identifier",),
    "practitioner_name": ("name",),
    "practitioner_qualification": ("qualification",),
    "practitioner_role_coding": ("code.coding", "specialty.coding"),
    "practitioner_role_identifier": ("identifier",),
    "practitioner_role_reference": ("location", "healthcareService", "endpoint"),
    "practitioner_role_telecom": ("telecom",),
    "practitioner_telecom": ("telecom",),
    "procedure_coding": (
        "code.coding", "category.coding", "statusReason.coding", "reasonCode.coding",
        "bodySite.coding", "outcome.coding", "complication.coding", "followUp.coding",
        "usedCode.coding",
    ),
    "procedure_identifier": ("identifier",),
    "procedure_note": ("note",),
    "procedure_performer": ("performer",),
    "procedure_reference": (
        "reasonReference", "report", "basedOn", "partOf", "complicationDetail", "usedReference",
        "focalDevice.manipulated",
    ),
    "provenance_agent": ("agent",),
    "provenance_reference": ("target", "entity.what"),
    "questionnaire_response_answer": ("item+.answer",),
    "questionnaire_response_item": ("item+",),
    "questionnaire_response_reference": ("basedOn", "partOf"),
    "related_person_address": ("address",),
    "related_person_coding": ("relationship.coding", "communication.language.coding"),
    "related_person_identifier": ("identifier",),
    "related_person_name": ("name",),
    "related_person_telecom": ("telecom",),
    "service_request_coding": (
        "category.coding", "code.coding", "orderDetail.coding",
        "asNeededCodeableConcept.coding", "performerType.coding", "locationCode.coding",
        "reasonCode.coding", "bodySite.coding",
    ),
    "service_request_identifier": ("identifier",),
    "service_request_note": ("note",),
    "service_request_reference": (
        "basedOn", "replaces", "performer", "locationReference", "reasonReference",
        "insurance", "supportingInfo", "specimen", "relevantHistory",
    ),
    "specimen_coding": (
        "type.coding", "condition.coding", "collection.method.coding",
        "collection.bodySite.coding", "container.type.coding",
    ),
    "specimen_identifier": ("identifier",),
    "specimen_note": ("note",),
    "task_coding": (
        "code.coding", "statusReason.coding", "businessStatus.coding", "reasonCode.coding",
        "performerType.coding",
    ),
    "task_identifier": ("identifier",),
    "task_input": ("input",),
    "task_note": ("note",),
    "task_output": ("output",),
    "task_reference": (
        "basedOn", "partOf", "insurance", "relevantHistory", "restriction.recipient",
    ),
}  # fmt: skip


def rows_owed(table: str, resource: Mapping[str, Any]) -> int:
    """How many rows of a table a resource gives; a main table has one of each."""
    if table not in CHILD_ELEMENTS:
        return 1
    return sum(1 for path in CHILD_ELEMENTS[table] for _ in items_at(resource, path.split(".")))


def items_at(item: Any, keys: list[str]) -> Iterator[Any]:
    """The items below some keys; ``extension=name`` keeps the extensions of that name, and
    ``item+`` goes on to the items of items, and of their answers.
    """
    if not keys:
        yield item
        return
    if keys[0] == "item+":
        for holder in (item, *item.get("answer", [])):
            for inner in holder.get("item", []):
                yield from items_at(inner, keys[1:])
                yield from items_at(inner, keys)
        return
    key, _, kept = keys[0].partition("=")
    found = item.get(key, [])
    for inner in found if isinstance(found, list) else [found]:
        if inner["url"].endswith(f"/{kept}") if kept else True:
            yield from items_at(inner, keys[1:])
