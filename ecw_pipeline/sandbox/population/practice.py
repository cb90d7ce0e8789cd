"""The practice itself: organizations, locations, practitioners. No patient is in it."""

from dataclasses import dataclass

from ecw_pipeline.sandbox.population.codes import (
    SANDBOX,
    SNOMED,
    TERMINOLOGY,
    US_CORE,
    JsonObject,
    coding,
    concept,
    term,
)
from ecw_pipeline.sandbox.population.words import fill, short_word, with_changes, written_templates

PRACTICE_SINCE = "2019-06-03T08:00:00Z"

# id, name, kind of organization
_ORGANIZATIONS = (
    ("org-practice", "Sandbox Family Practice", "prov", "Healthcare Provider"),
    ("org-lab", "Sandbox Reference Laboratory", "other", "Other"),
    ("org-hospital", "Sandbox General Hospital", "prov", "Healthcare Provider"),
    ("org-vaccine", "Sandbox Vaccines Inc.", "bus", "Non-Healthcare Business"),
)
# id, name, mode, role type code and display, organization
_LOCATIONS = (
    ("loc-main", "Main Street Office", "HOSP", "Hospital", "org-practice"),
    ("loc-north", "North Office", "PC", "Primary care clinic", "org-practice"),
    ("loc-virtual", "Virtual Visit Room", "VR", "Virtual", "org-practice"),
    ("loc-hospital", "Sandbox General, Ward 2", "HU", "Hospital unit", "org-hospital"),
)
# family, given, prefix, SNOMED speciality
_PRACTITIONERS = (
    ("Sample", "Ada", "Dr.", "419772000", "Family practice"),
    ("Mockingham", "Bertil", "Dr.", "419192003", "Internal medicine"),
    ("Exámple", "Inés", "Dr.", "394583002", "Endocrinology"),
    ("Fixture", "Jürgen", "Dr.", "394579002", "Cardiology"),
    ("Placeholder", "Naomi", "Dr.", "394537008", "Pediatric specialty"),
    ("Stubbs", "Oluwaseun", "Dr.", "419772000", "Family practice"),
    ("Dummy", "Priya", "NP", "419772000", "Family practice"),
    ("Testova", "Zdeňka", "RN", "224535009", "Registered nurse"),
)


@dataclass(frozen=True)
class Practice:
    """The practice's resources, and references to them."""

    resources: tuple[JsonObject, ...]
    practitioners: tuple[JsonObject, ...]
    organization: JsonObject
    laboratory: JsonObject
    hospital: JsonObject
    manufacturer: JsonObject
    offices: tuple[JsonObject, ...]
    virtual_room: JsonObject
    ward: JsonObject


def build_practice() -> Practice:
    """Make the practice; it is the same for every seed."""
    organizations = [_organization(*row) for row in _ORGANIZATIONS]
    locations = [_location(*row) for row in _LOCATIONS]
    practitioners = [_practitioner(i, *row) for i, row in enumerate(_PRACTITIONERS, start=1)]
    organization, laboratory, hospital, manufacturer = map(_reference, organizations)
    main, north, virtual, ward = map(_reference, locations)
    return Practice(
        resources=_completed((*organizations, *locations, *practitioners)),
        practitioners=tuple(map(_reference, practitioners)),
        organization=organization,
        laboratory=laboratory,
        hospital=hospital,
        manufacturer=manufacturer,
        offices=(main, north),
        virtual_room=virtual,
        ward=ward,
    )


def _completed(resources: tuple[JsonObject, ...]) -> tuple[JsonObject, ...]:
    """The practice with what is rarely told of one, and whom else it works with."""
    written = fill(written_templates("practice_further.json"), short_word)
    changes = written["changes"]
    meta = {"versionId": "1", "lastUpdated": PRACTICE_SINCE}
    return (
        *(with_changes(resource, changes.get(resource["id"], {})) for resource in resources),
        *({**resource, "meta": meta} for resource in written["further"]),
    )


def _reference(resource: JsonObject) -> JsonObject:
    name = resource["name"]
    display = name if isinstance(name, str) else name[0]["text"]
    return {"reference": f"{resource['resourceType']}/{resource['id']}", "display": display}


def _start(resource_type: str, resource_id: str, profile: str) -> JsonObject:
    meta = {"versionId": "1", "lastUpdated": PRACTICE_SINCE, "profile": [US_CORE + profile]}
    return {"resourceType": resource_type, "id": resource_id, "meta": meta}


def _telecom(line: int) -> list[JsonObject]:
    return [
        {"system": "phone", "value": f"555-0{100 + line}", "use": "work"},
        {"system": "email", "value": f"desk{line}@practice.example", "use": "work"},
    ]


def _address(line: int) -> JsonObject:
    return {
        "use": "work",
        "line": [f"{line} Specimen Way"],
        "city": "Sampleton",
        "state": "MA",
        "postalCode": "00001",
        "country": "US",
    }


def _organization(resource_id: str, name: str, code: str, display: str) -> JsonObject:
    number = len(resource_id)
    return {
        **_start("Organization", resource_id, "us-core-organization"),
        "identifier": [{"system": f"{SANDBOX}organization", "value": resource_id}],
        "active": True,
        "type": [term("organization-type", code, display)],
        "name": name,
        "telecom": _telecom(number),
        "address": [_address(number)],
    }


def _location(
    resource_id: str, name: str, code: str, display: str, organization: str
) -> JsonObject:
    number = len(name)
    role = term("v3-RoleCode", code, display)
    return {
        **_start("Location", resource_id, "us-core-location"),
        "identifier": [{"system": f"{SANDBOX}location", "value": resource_id}],
        "status": "active",
        "name": name,
        "description": f"{name} of the sandbox practice",
        "mode": "instance",
        "type": [role],
        "telecom": _telecom(number),
        "address": _address(number),
        "physicalType": term("location-physical-type", "bu", "Building"),
        "managingOrganization": {"reference": f"Organization/{organization}"},
    }


def _practitioner(
    number: int, family: str, given: str, prefix: str, code: str, display: str
) -> JsonObject:
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": f"000000{number:04d}"}
    degree = coding(TERMINOLOGY + "v2-0360|2.7", "MD" if prefix == "Dr." else prefix, prefix)
    return {
        **_start("Practitioner", f"pra-{number:03d}", "us-core-practitioner"),
        "identifier": [npi],
        "active": True,
        "name": [
            {
                "use": "official",
                "text": f"{prefix} {given} {family}",
                "family": family,
                "given": [given],
                "prefix": [prefix],
            }
        ],
        "telecom": _telecom(number),
        "address": [_address(number)],
        "gender": "female" if number % 2 else "male",
        "qualification": [
            {"code": {"coding": [degree], "text": prefix}},
            {"code": concept(SNOMED, code, display)},
        ],
    }
