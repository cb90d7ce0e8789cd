"""What narrows a request to some resources of its types.

What such a request brings is as good as any other data, but it tells nothing of what it lacks: it
moves no watermark, and nobody is absent because it does not name them (laws 4 and 5).
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir.structure import is_resource

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class Restriction:
    """FHIR searches such as ``Observation?category=laboratory``, and the ids of patients.

    Source: Bulk Data Access 2.0, "Query Parameters", _typeFilter and patient.
    """

    type_filters: tuple[str, ...] = ()
    patient_ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.type_filters or self.patient_ids)

    @classmethod
    def of(cls, type_filters: Iterable[str] = (), patients: Iterable[str] = ()) -> Self:
        """A restriction as people write it; a patient is ``p1`` or ``Patient/p1``.

        Raises:
            ConfigurationError: a filter names no resource type or no condition, or an id is none.
        """
        for text in (filters := tuple(dict.fromkeys(type_filters))):
            resource_type, _, conditions = text.partition("?")
            if not is_resource(resource_type) or "=" not in conditions:
                raise ConfigurationError(
                    f"{text!r} is not a filter", "write one like Observation?category=laboratory"
                )
        ids = tuple(dict.fromkeys(patient.removeprefix("Patient/") for patient in patients))
        for one in ids:
            if not _FHIR_ID.fullmatch(one):
                raise ConfigurationError(
                    f"{one!r} is not the id of a patient", "look it up: core.patient, patient_id"
                )
        return cls(filters, ids)

    @property
    def filtered_types(self) -> tuple[str, ...]:
        """The resource types that the filters speak of."""
        return tuple(dict.fromkeys(text.partition("?")[0] for text in self.type_filters))

    @property
    def in_words(self) -> str:
        """The filters, and how many patients: their ids are not for logs. Empty without any."""
        count = len(self.patient_ids)
        patients = [f"{count} patient{'s' if count > 1 else ''}"] if count else []
        return ", ".join([*self.type_filters, *patients])

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """What `to_json` wrote; nothing is no restriction."""
        known = json.loads(text or "{}")
        return cls(tuple(known.get("type_filters", ())), tuple(known.get("patient_ids", ())))

    def to_json(self) -> str:
        """For the ledger; empty where nothing is narrowed."""
        if not self:
            return ""
        return json.dumps({"type_filters": self.type_filters, "patient_ids": self.patient_ids})


UNRESTRICTED = Restriction()
