"""Laboratory results and the reports that gather them."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant
from ecw_pipeline.sandbox.population.codes import (
    LOINC,
    SNOMED,
    JsonObject,
    concept,
    decimal_between,
    identifier,
    quantity,
    term,
)
from ecw_pipeline.sandbox.population.documents import (
    html_binary,
    linked_attachment,
    pdf_attachment,
    png_attachment,
)
from ecw_pipeline.sandbox.population.draw import chance
from ecw_pipeline.sandbox.population.visits import Visit
from ecw_pipeline.sandbox.population.vitals import interpretation, observe

LABORATORY = ("laboratory", "Laboratory")
IMAGING = ("imaging", "Imaging")
LAB_SERVICE = ("LAB", "Laboratory")
RADIOLOGY = ("RAD", "Radiology")


@dataclass(frozen=True)
class Analyte:
    """One measured thing: what it is, what to expect, and what is normal."""

    code: str
    display: str
    unit: str
    lowest: str
    highest: str
    normal_low: str | None
    normal_high: str


@dataclass(frozen=True)
class Panel:
    """A report of one code with several results."""

    code: str
    display: str
    analytes: tuple[Analyte, ...]


A1C = Analyte("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%",
              "5.00", "9.90", "4.00", "5.60")  # fmt: skip
A1C_PANEL = Panel("4548-4", "Hemoglobin A1c", (A1C,))
PANELS = (
    Panel("57698-3", "Lipid panel", (
        Analyte("2093-3", "Cholesterol [Mass/volume]", "mg/dL", "128", "285", None, "200"),
        Analyte("2571-8", "Triglyceride [Mass/volume]", "mg/dL", "50", "310", None, "150"),
        Analyte("2085-9", "Cholesterol in HDL", "mg/dL", "28", "84", "40", "100"),
        Analyte("13457-7", "Cholesterol in LDL (calculated)", "mg/dL", "55", "195", None, "130"),
    )),
    Panel("51990-0", "Basic metabolic panel", (
        Analyte("2345-7", "Glucose [Mass/volume]", "mg/dL", "68", "160", "70", "100"),
        Analyte("3094-0", "Urea nitrogen [Mass/volume]", "mg/dL", "6.0", "28.0", "7.0", "20.0"),
        Analyte("2160-0", "Creatinine [Mass/volume]", "mg/dL", "0.50", "1.60", "0.60", "1.30"),
        Analyte("2951-2", "Sodium [Moles/volume]", "mmol/L", "132", "147", "136", "145"),
        Analyte("2823-3", "Potassium [Moles/volume]", "mmol/L", "3.30", "5.40", "3.50", "5.10"),
    )),
    Panel("58410-2", "CBC panel - Blood by Automated count", (
        Analyte("6690-2", "Leukocytes [#/volume]", "10*3/uL", "3.40", "13.00", "4.50", "11.00"),
        Analyte("718-7", "Hemoglobin [Mass/volume]", "g/dL", "10.2", "17.4", "12.0", "17.0"),
        Analyte("777-3", "Platelets [#/volume]", "10*3/uL", "130", "430", "150", "400"),
    )),
)  # fmt: skip
_IMAGES = (
    ("36643-5", "XR Chest 2 Views", "No acute cardiopulmonary process."),
    ("24566-2", "XR Ankle", "No fracture seen."),
    ("24558-9", "US Abdomen", "Normal study."),
)
_CONCLUSIONS = {
    True: ("Outside the reference range; please review.", "263654008", "Abnormal"),
    False: ("Within the reference range.", "17621005", "Normal"),
}
_URINE_COLOURS = (("371244009", "Yellow"), ("371251000", "Amber"))


def add_panel(chart: Chart, visit: Visit, panel: Panel) -> Record:
    """Draw blood at the visit; the report comes hours or days later, perhaps preliminary."""
    issued_at = visit.end + timedelta(hours=chart.random.randint(2, 96))
    is_final = issued_at < chart.now and chance(chart.random, 94)
    results = [_measure(chart, visit, analyte) for analyte in panel.analytes]
    if not is_final:
        for result in results:
            result.resource["status"] = "preliminary"
    is_abnormal = any(r.resource["interpretation"][0]["coding"][0]["code"] != "N" for r in results)
    body = _report(chart, visit, LAB_SERVICE, concept(LOINC, panel.code, panel.display))
    body["performer"] = [chart.practice.laboratory]
    body["result"] = [{"reference": result.reference} for result in results]
    body["presentedForm"] = [pdf_attachment(panel.display, instant(issued_at))]
    conclusion, code, display = _CONCLUSIONS[is_abnormal]
    body["conclusion"] = conclusion
    body["conclusionCode"] = [concept(SNOMED, code, display)]
    if is_final:
        body["status"], body["issued"] = "final", instant(issued_at)
    return chart.add("DiagnosticReport", issued_at, body)


def add_imaging(chart: Chart, visit: Visit) -> Record:
    """A study with a picture, a PDF, words, and a page that is only linked."""
    code, display, conclusion = chart.random.choice(_IMAGES)
    issued_at = min(visit.end + timedelta(hours=chart.random.randint(1, 30)), chart.now)
    finding = observe(
        chart, visit, IMAGING, concept(LOINC, "18782-3", "Study observation"),
        valueString=conclusion,
    )  # fmt: skip
    body = _report(chart, visit, RADIOLOGY, concept(LOINC, code, display))
    created = instant(issued_at)
    stay = {"start": instant(visit.start), "end": instant(visit.end)}
    del body["effectiveDateTime"]
    body |= {
        "status": "amended" if chance(chart.random, 10) else "final",
        "effectivePeriod": stay,
        "issued": created,
        "resultsInterpreter": [chart.random.choice(chart.practice.practitioners)],
        "result": [{"reference": finding.reference}],
        "conclusion": conclusion,
        "presentedForm": [png_attachment(display, created), pdf_attachment(display, created)],
    }
    report = chart.add("DiagnosticReport", issued_at, body)
    page = html_binary(display, conclusion) | {"id": report.resource_id}
    chart.binaries.append(page)
    report.resource["presentedForm"].append(linked_attachment(page, display, created))
    return report


def add_urine_and_titre(chart: Chart, visit: Visit) -> None:
    """Results that are words, codes and ratios."""
    colour = concept(SNOMED, *chart.random.choice(_URINE_COLOURS))
    urine = concept(LOINC, "5778-6", "Color of Urine")
    observe(chart, visit, LABORATORY, urine, valueCodeableConcept=colour)
    titre = {
        "numerator": {"value": Decimal(1)},
        "denominator": {"value": Decimal(chart.random.choice((40, 80, 160)))},
    }
    ana = concept(LOINC, "5048-4", "Nuclear Ab [Titer]")
    observe(chart, visit, LABORATORY, ana, valueRatio=titre)
    appearance = concept(LOINC, "5767-9", "Appearance of Urine")
    observe(chart, visit, LABORATORY, appearance, valueString="Clear, no sediment")


def finalise(chart: Chart, report: Record) -> list[Record]:
    """A preliminary report becomes final; its results with it. Returns what changed."""
    report.resource["status"] = "final"
    report.resource["issued"] = instant(chart.now)
    listed = {result["reference"] for result in report.resource.get("result", ())}
    results = [r for r in chart.living("Observation") if r.reference in listed]
    for result in results:
        result.resource["status"] = "final"
    return [report, *results]


def _report(chart: Chart, visit: Visit, service: tuple[str, str], code: JsonObject) -> JsonObject:
    number = f"R{chart.number:06d}-{chart.series}{len(chart.records):04d}"
    return {
        "identifier": [identifier("report", number)],
        "basedOn": [{"display": f"Order for {code['text']}"}],
        "status": "preliminary",
        "category": [term("v2-0074", *service)],
        "code": code,
        "subject": chart.subject,
        "encounter": visit.reference,
        "effectiveDateTime": instant(visit.start),
        "performer": [visit.person.practitioner],
        "resultsInterpreter": [visit.person.practitioner],
    }


def _measure(chart: Chart, visit: Visit, analyte: Analyte) -> Record:
    value = _value(chart, visit, analyte)
    low = Decimal(analyte.normal_low) if analyte.normal_low else None
    high = Decimal(analyte.normal_high)
    normal: JsonObject = {"high": quantity(high, analyte.unit, analyte.unit)}
    if low is not None:
        normal["low"] = quantity(low, analyte.unit, analyte.unit)
    normal["text"] = f"{analyte.normal_low or 0} - {analyte.normal_high} {analyte.unit}"
    return observe(
        chart,
        visit,
        LABORATORY,
        concept(LOINC, analyte.code, analyte.display),
        valueQuantity=quantity(value, analyte.unit, analyte.unit),
        interpretation=[interpretation(value, high, low)],
        referenceRange=[normal],
        specimen={"display": "Venous blood"},
    )


def _value(chart: Chart, visit: Visit, analyte: Analyte) -> Decimal:
    if analyte is A1C and visit.person.is_diabetic:
        # Everyone has a level of their own, about which the series moves.
        level = Decimal(650 + visit.person.number * 53 % 320).scaleb(-2)
        return level + decimal_between(chart.random, "-0.60", "0.60")
    return decimal_between(chart.random, analyte.lowest, analyte.highest)
