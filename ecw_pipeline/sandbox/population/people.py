"""Who the patients are: traits that a whole chart depends on, and the Patient resource."""

from datetime import date, datetime, timedelta
from random import Random

from ecw_pipeline.sandbox.population.chart import Chart, Person, Record, instant
from ecw_pipeline.sandbox.population.codes import US_CORE, JsonObject, coding, identifier, term
from ecw_pipeline.sandbox.population.draw import chance, random_for, weighted
from ecw_pipeline.sandbox.population.names import (
    CITIES,
    CJK_NAMES,
    ETHNICITIES,
    FAMILY_NAMES,
    GIVEN_NAMES,
    LANGUAGES,
    MARITAL_STATUSES,
    RACES,
    STREETS,
)

_OMB = "urn:oid:2.16.840.1.113883.6.238"
_DIABETIC_PERCENT = 12


def is_diabetic(seed: int, number: int) -> bool:
    """Whether a patient belongs to the group ``diabetics``; cheap, for it is asked of everyone."""
    return chance(random_for(seed, number, "diabetes"), _DIABETIC_PERCENT)


def draw_person(chart: Chart, seed: int) -> tuple[Person, list[JsonObject]]:
    """Decide who this is; returns the name as well, for the Patient resource."""
    random = chart.random
    diabetic = is_diabetic(seed, chart.number)
    age_days = random.randint(38 * 365, 88 * 365) if diabetic else _age_days(random)
    gender = "female" if chance(random, 51) else "male"
    names = _names(random, gender)
    age_years = age_days // 365
    person = Person(
        number=chart.number,
        display=names[0]["text"],
        gender=gender,
        born_on=(chart.now - timedelta(days=age_days)).date(),
        practitioner=random.choice(chart.practice.practitioners[:6]),
        is_diabetic=diabetic,
        is_hypertensive=chance(random, max(0, age_years - 25) + (20 if diabetic else 0)),
        died_at=_death(random, chart.now, age_years),
    )
    return person, names


def add_patient(chart: Chart, person: Person, names: list[JsonObject]) -> Record:
    """Write the Patient resource."""
    random, at = chart.random, chart.now - timedelta(days=chart.random.randint(1, 700))
    body: JsonObject = {
        "extension": _us_core_extensions(random, person.gender),
        "identifier": _identifiers(chart.number),
        "active": person.died_at is None,
        "name": names,
        "telecom": _telecom(random, chart.number),
        "gender": person.gender,
        "birthDate": person.born_on.isoformat(),
        **_deceased(random, person.died_at),
        "address": [address(random, at)],
        "maritalStatus": term("v3-MaritalStatus", *weighted(random, MARITAL_STATUSES)[1:]),
        "communication": [_language(random)],
        "generalPractitioner": [person.practitioner],
        "managingOrganization": chart.practice.organization,
    }
    if person.age_on(chart.now.date()) < 18 or chance(random, 15):
        body["contact"] = [_contact(random)]
    return chart.add("Patient", person.died_at or at, body)


def address(random: Random, since: datetime) -> JsonObject:
    """A home address, lived in since then."""
    city, postal_code = random.choice(CITIES)
    lines = [f"{random.randint(1, 999)} {random.choice(STREETS)}"]
    if chance(random, 25):
        lines.append(f"Apt {random.randint(1, 40)}")
    return {
        "use": "home",
        "type": "both",
        "text": f"{', '.join(lines)}, {city}, MA {postal_code}",
        "line": lines,
        "city": city,
        "district": "Sample County",
        "state": "MA",
        "postalCode": postal_code,
        "country": "US",
        "period": {"start": since.date().isoformat()},
    }


def _age_days(random: Random) -> int:
    return random.randint(30, 92 * 365)


def _death(random: Random, now: datetime, age_years: int) -> datetime | None:
    if not chance(random, max(0.5, (age_years - 60) / 2)):
        return None
    return now - timedelta(days=random.randint(5, 300), minutes=random.randrange(1440))


def _deceased(random: Random, died_at: datetime | None) -> JsonObject:
    if died_at is not None:
        return {"deceasedDateTime": instant(died_at)}
    return {"deceasedBoolean": False} if chance(random, 40) else {}


def _names(random: Random, gender: str) -> list[JsonObject]:
    if chance(random, 3):
        family, given, romanised = random.choice(CJK_NAMES[gender])
        written = _name("official", family, [given], text=f"{family} {given}")
        first, second = romanised.split()
        return [written, _name("usual", first, [second], text=romanised)]
    family = random.choice(FAMILY_NAMES)
    given_names = random.sample(GIVEN_NAMES[gender], 2 if chance(random, 40) else 1)
    official = _name("official", family, given_names)
    if chance(random, 8):
        official["suffix"] = [random.choice(("Jr.", "III", "PhD"))]
    if chance(random, 10):
        former = _name("maiden", random.choice(FAMILY_NAMES), given_names[:1])
        former["period"] = {"end": date(2012, 6, random.randint(1, 28)).isoformat()}
        return [official, former]
    return [official]


def _name(use: str, family: str, given: list[str], *, text: str | None = None) -> JsonObject:
    spoken = text or f"{' '.join(given)} {family}"
    return {"use": use, "text": spoken, "family": family, "given": given}


def _identifiers(number: int) -> list[JsonObject]:
    record = identifier("mrn", f"MRN-{number:07d}")
    record["type"] = term("v2-0203", "MR", "Medical record number")
    # 900-99-xxxx: a social security number never begins with 9
    ssn = {
        "use": "official",
        "type": term("v2-0203", "SS", "Social Security number"),
        "system": "http://hl7.org/fhir/sid/us-ssn",
        "value": f"900-99-{number % 10_000:04d}",
    }
    return [record, ssn] if number % 2 else [record]


def _telecom(random: Random, number: int) -> list[JsonObject]:
    phone = {
        "system": "phone",
        "value": f"555-01{random.randrange(100):02d}",
        "use": random.choice(("home", "mobile")),
        "rank": 1,
    }
    email = {"system": "email", "value": f"patient{number}@mail.example", "use": "home"}
    return [phone, email] if chance(random, 70) else [phone]


def _language(random: Random) -> JsonObject:
    _, code, display = weighted(random, LANGUAGES)
    language = {"coding": [coding("urn:ietf:bcp:47", code, display)], "text": display}
    return {"language": language, "preferred": True}


def _contact(random: Random) -> JsonObject:
    gender = random.choice(("female", "male"))
    name = _name("usual", random.choice(FAMILY_NAMES), [random.choice(GIVEN_NAMES[gender])])
    return {
        "relationship": [term("v2-0131", "N", "Next-of-Kin")],
        "name": name,
        "telecom": [{"system": "phone", "value": f"555-01{random.randrange(100):02d}"}],
        "gender": gender,
    }


def _us_core_extensions(random: Random, gender: str) -> list[JsonObject]:
    _, race, race_text = weighted(random, RACES)
    _, ethnicity, ethnicity_text = weighted(random, ETHNICITIES)
    return [
        _omb_extension("us-core-race", race, race_text),
        _omb_extension("us-core-ethnicity", ethnicity, ethnicity_text),
        {"url": US_CORE + "us-core-birthsex", "valueCode": gender[0].upper()},
    ]


def _omb_extension(name: str, code: str, text: str) -> JsonObject:
    category = {"url": "ombCategory", "valueCoding": coding(_OMB, code, text)}
    return {"url": US_CORE + name, "extension": [category, {"url": "text", "valueString": text}]}
