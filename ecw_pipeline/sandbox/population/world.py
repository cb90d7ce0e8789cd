"""The whole population as a source of exports: any chart can be written again at any time.

Nothing of a patient is kept between uses, so memory does not grow with the population.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecw_pipeline.fhir.instants import format_instant, parse_instant
from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline.sandbox.json_text import to_line
from ecw_pipeline.sandbox.population.chart import Chart, Record
from ecw_pipeline.sandbox.population.codes import SNOMED, JsonObject, concept, identifier
from ecw_pipeline.sandbox.population.conditions import DIABETES
from ecw_pipeline.sandbox.population.days import live_one_day
from ecw_pipeline.sandbox.population.draw import random_for
from ecw_pipeline.sandbox.population.life import remove_patient, write_chart
from ecw_pipeline.sandbox.population.people import is_diabetic
from ecw_pipeline.sandbox.population.practice import PRACTICE_SINCE, build_practice
from ecw_pipeline.sandbox.population.words import written_templates
from ecw_pipeline.sandbox.simulated_time import instant_in_day
from ecw_pipeline.sandbox.source import ASSOCIATED_TYPES, Entry, Selection

RESOURCE_TYPES = (
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "ChargeItem",
    "Claim",
    "Communication",
    "Condition",
    "Coverage",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "FamilyMemberHistory",
    "Goal",
    "Group",
    "Immunization",
    "Location",
    "Media",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
    "Task",
)
_GROUPS = {"all-patients": "All patients", "diabetics": "Patients with diabetes"}
_GROUP_CODES = {"diabetics": concept(SNOMED, DIABETES.snomed, DIABETES.display)}
_PATIENT_NUMBER = re.compile(r"^[a-z]{3}-(\d{6,})(?:-|$)")
_LARGEST_MEMBER_LIST = 5_000  # beyond it a Group says only how many members it has
_ENTRIES_PER_PATIENT = 100
_ACTIVE_SHARE = 0.03
_NEW_SHARE = 0.002
_REMOVED_SHARE = 0.001


@dataclass(frozen=True)
class _DayPlan:
    """Who does something on a day; what they do is drawn from (seed, number, day)."""

    day: int
    active: frozenset[int]
    joined: range
    removed: frozenset[int]


class Population:
    """A `Source` of made-up patients."""

    resource_types = RESOURCE_TYPES
    groups = tuple(_GROUPS)

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._practice = build_practice()
        self._plans: list[_DayPlan] = []
        self._lock = threading.Lock()

    @property
    def day(self) -> int:
        return len(self._plans)

    def entries(self, selection: Selection) -> Iterator[Entry]:
        """Practice first, then patient by patient."""
        if selection.resource_types & ASSOCIATED_TYPES:
            yield from self._practice_entries(selection)
        if selection.resource_types <= ASSOCIATED_TYPES:
            return
        for number in self._numbers(selection):
            for record in self._chart(number, selection.day).records:
                entry = _entry(record, selection)
                if entry is not None:
                    yield entry

    def expected_entries(self, selection: Selection) -> int:
        share = len(selection.resource_types) / len(RESOURCE_TYPES)
        patients = self._patients(selection.day)
        return max(1, int(patients * _ENTRIES_PER_PATIENT * min(1.0, share)))

    def find(self, resource_type: str, resource_id: str) -> bytes | None:
        match = _PATIENT_NUMBER.match(resource_id)
        day = self.day
        if match is None or not 1 <= int(match[1]) <= self._patients(day):
            selection = Selection(day, frozenset({resource_type}) & ASSOCIATED_TYPES)
            entries = self._practice_entries(selection)
            return next((e.line for e in entries if e.resource_id == resource_id), None)
        chart = self._chart(int(match[1]), day)
        if resource_type == "Binary":
            return next((to_line(b) for b in chart.binaries if b["id"] == resource_id), None)
        for record in chart.records:
            if record.reference == f"{resource_type}/{resource_id}" and not record.deleted:
                return to_line(record.resource)
        return None

    def advance(self, days: int) -> dict[str, Any]:
        with self._lock:
            first = self.day
            for day in range(first + 1, first + days + 1):
                self._plans.append(self._plan(day))
            return self._differences(first, first + days)

    def _plan(self, day: int) -> _DayPlan:
        random = random_for(self._config.seed, "day", day)
        patients = self._patients(day - 1)
        everyone = range(1, patients + 1)
        new = max(1, round(patients * _NEW_SHARE + random.random() - 0.5))
        removed = round(patients * _REMOVED_SHARE + random.random() - 0.5)
        return _DayPlan(
            day=day,
            active=frozenset(
                random.sample(everyone, min(patients, max(3, int(patients * _ACTIVE_SHARE))))
            ),
            joined=range(patients + 1, patients + new + 1),
            removed=frozenset(random.sample(everyone, min(patients, removed))),
        )

    def _patients(self, day: int) -> int:
        """How many patients there have ever been."""
        return self._plans[day - 1].joined.stop - 1 if day else self._config.patients

    def _touched(self, first: int, last: int) -> list[int]:
        """The patients something happened to after day ``first``, up to day ``last``."""
        touched: set[int] = set()
        for plan in self._plans[first:last]:
            touched.update(plan.active, plan.joined, plan.removed)
        return sorted(touched)

    def _numbers(self, selection: Selection) -> Iterable[int]:
        numbers: Iterable[int] = range(1, self._patients(selection.day) + 1)
        since = selection.since
        if since is not None and since >= self._config.started_at:
            quiet_days = (since - self._config.started_at).days
            numbers = self._touched(quiet_days, selection.day)
        return (n for n in numbers if self._is_member(n, selection.group))

    def _is_member(self, number: int, group: str | None) -> bool:
        return group != "diabetics" or is_diabetic(self._config.seed, number)

    def _instant(self, number: int, day: int) -> datetime:
        random = random_for(self._config.seed, number, day, "instant")
        return instant_in_day(self._config.started_at, day, random)

    def _chart(self, number: int, day: int) -> Chart:
        joined = self._day_joined(number)
        seed, started_at = self._config.seed, self._config.started_at
        now = self._instant(number, joined) if joined else started_at
        chart = Chart(
            number,
            random_for(seed, number),
            now,
            self._practice,
            imported_at=now if joined else None,
        )
        write_chart(chart, seed)
        for plan in self._plans[joined:day]:
            if number in plan.removed:
                remove_patient(chart, self._instant(number, plan.day))
                break
            if number in plan.active:
                at = self._instant(number, plan.day)
                chart.start_day(plan.day, random_for(seed, number, plan.day), at)
                live_one_day(chart)
        return chart

    def _day_joined(self, number: int) -> int:
        if number <= self._config.patients:
            return 0
        return next(plan.day for plan in self._plans if number in plan.joined)

    def _differences(self, first: int, last: int) -> dict[str, Any]:
        """What an export since day ``first`` would bring, counted by type."""
        counts: dict[str, Counter[str]] = {"new": Counter(), "changed": Counter()}
        counts["deleted"] = Counter()
        since = self._config.started_at.timestamp() + first * 86_400 + 43_200
        for number in self._touched(first, last):
            for record in self._chart(number, last).records:
                if record.updated_at.timestamp() >= since:
                    fresh = "new" if record.created_at.timestamp() >= since else "changed"
                    counts["deleted" if record.deleted else fresh][record.resource_type] += 1
        counts["changed"]["Group"] += len(_GROUPS)
        return {name: dict(sorted(counter.items())) for name, counter in counts.items()}

    def _practice_entries(self, selection: Selection) -> Iterator[Entry]:
        groups = (self._group(name, selection.day) for name in _GROUPS)
        wanted = selection.resource_types
        for resource in (*self._practice.resources, *(groups if "Group" in wanted else ())):
            updated_at = parse_instant(resource["meta"]["lastUpdated"])
            if resource["resourceType"] not in wanted:
                continue
            if selection.since is None or updated_at > selection.since:
                yield Entry(resource["resourceType"], resource["id"], to_line(resource))

    def _group(self, name: str, day: int) -> JsonObject:
        """A Group as it is on that day; every day somebody joins, so every day it changes."""
        gone = {n for plan in self._plans[:day] for n in plan.removed}
        present = (n for n in range(1, self._patients(day) + 1) if n not in gone)
        members = [n for n in present if self._is_member(n, name)]
        at = format_instant(self._instant(0, day)) if day else PRACTICE_SINCE
        told = written_templates("told_in_full.json")
        group: JsonObject = {
            "resourceType": "Group",
            "id": name,
            "meta": {"versionId": str(day + 1), "lastUpdated": at},
            "identifier": [{**told["identifier"], **identifier("group", name)}],
            "active": True,
            "type": "person",
            "actual": True,
            "name": _GROUPS[name],
            "quantity": len(members),
            "managingEntity": self._practice.organization,
        }
        if name in _GROUP_CODES:
            group["code"] = _GROUP_CODES[name]
        if 0 < len(members) <= _LARGEST_MEMBER_LIST:
            group["member"] = [
                {"entity": {"reference": f"Patient/pat-{n:06d}"}, "inactive": False}
                for n in members
            ]
        return group


def _entry(record: Record, selection: Selection) -> Entry | None:
    """The record as the export shows it; None when it does not."""
    if record.resource_type not in selection.resource_types:
        return None
    since = selection.since
    if since is not None and record.updated_at <= since:
        return None
    if record.deleted:
        gone = Entry(record.resource_type, record.resource_id, None)
        return gone if since is not None else None
    return Entry(record.resource_type, record.resource_id, to_line(record.resource))
