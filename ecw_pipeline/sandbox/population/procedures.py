"""Procedures done at visits."""

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant, refer
from ecw_pipeline.sandbox.population.codes import SNOMED, JsonObject, concept, identifier
from ecw_pipeline.sandbox.population.draw import chance
from ecw_pipeline.sandbox.population.visits import Visit

# code, display, category code and display, body site
_PROCEDURES = (
    ("29303009", "Electrocardiographic procedure", "103693007", "Diagnostic", "80891009", "Heart"),
    ("73761001", "Colonoscopy", "103693007", "Diagnostic procedure", "71854001", "Colon"),
    ("127783003", "Spirometry", "103693007", "Diagnostic procedure", "39607008", "Lung"),
    ("225358003", "Wound care", "277132007", "Therapeutic procedure", "39937001", "Skin"),
    ("76601001", "Intramuscular injection", "277132007", "Therapeutic", "16217701", "Deltoid"),
    ("401191002", "Diabetic foot examination", "103693007", "Diagnostic", "56459004", "Foot"),
)
_OUTCOMES = (("385669000", "Successful"), ("385670004", "Partially successful"))
_NOT_DONE = concept(SNOMED, "183944003", "Procedure refused")


def add_procedure(
    chart: Chart, visit: Visit, reason: Record | None, report: Record | None
) -> Record:
    """One procedure, done during the visit or refused."""
    random = chart.random
    code, display, category, category_display, site, site_display = random.choice(_PROCEDURES)
    is_done = chance(random, 93)
    number = f"P{chart.number:06d}-{chart.series}{len(chart.records):04d}"
    body: JsonObject = {
        "identifier": [identifier("procedure", number)],
        "status": "completed" if is_done else "not-done",
        "category": concept(SNOMED, category, category_display),
        "code": concept(SNOMED, code, display),
        "subject": chart.subject,
        "encounter": visit.reference,
        "recorder": visit.person.practitioner,
        "asserter": visit.person.practitioner,
        "performer": [_performer(chart, visit)],
        "location": chart.practice.offices[0],
        "bodySite": [concept(SNOMED, site, site_display)],
    }
    body |= _performed(chart, visit, report) if is_done else {"statusReason": _NOT_DONE}
    if reason is not None:
        body["reasonCode"] = [reason.resource["code"]]
        body["reasonReference"] = [refer(reason)]
    return chart.add("Procedure", visit.end, body)


def _performer(chart: Chart, visit: Visit) -> JsonObject:
    return {
        "function": concept(SNOMED, "59058001", "General physician"),
        "actor": visit.person.practitioner,
        "onBehalfOf": chart.practice.organization,
    }


def _performed(chart: Chart, visit: Visit, report: Record | None) -> JsonObject:
    random, start = chart.random, instant(visit.start)
    is_long = chance(random, 40)
    period = {"performedPeriod": {"start": start, "end": instant(visit.end)}}
    body: JsonObject = period if is_long else {"performedDateTime": start}
    body["outcome"] = concept(SNOMED, *random.choice(_OUTCOMES))
    if chance(random, 15):
        body["complication"] = [concept(SNOMED, "131148009", "Bleeding")]
    if chance(random, 30):
        body["followUp"] = [concept(SNOMED, "308273005", "Follow-up status")]
        body["note"] = [{"text": "No follow-up needed before the next visit.", "time": start}]
    if report is not None:
        body["report"] = [refer(report)]
    return body
