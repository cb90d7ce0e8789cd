"""What the words of a template stand for in a chart: a visit's times, and the chart's own.

``@start`` and its like are about the visit; ``@Condition`` refers to a record of the chart, and
``@Condition.code`` repeats an element of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant
from ecw_pipeline.sandbox.population.codes import JsonObject, identifier
from ecw_pipeline.sandbox.population.documents import (
    html_binary,
    linked_attachment,
    pdf_attachment,
    png_attachment,
)
from ecw_pipeline.sandbox.population.visits import Visit
from ecw_pipeline.sandbox.population.words import fill, short_word


class NothingThereError(Exception):
    """A template names what the chart has not."""


@dataclass(frozen=True)
class Filling:
    """A chart, and a visit to write about."""

    chart: Chart
    visit: Visit

    def fill(self, template: Any) -> Any:
        """A template with its words filled in.

        Raises:
            NothingThereError: a word stands for nothing in this chart.
        """
        return fill(template, self._word)

    def number(self) -> str:
        """A number that nothing else in the practice has."""
        return f"{self.chart.number:06d}-{len(self.chart.records):04d}"

    def page(self) -> JsonObject:
        """An attachment that names a page to be read on its own."""
        words = "Rest, drink enough, and call us if it lasts."
        page = html_binary("Leaflet", words)
        page["id"] = f"bin-{self.chart.number:06d}-{len(self.chart.binaries) + 1:03d}"
        self.chart.binaries.append(page)
        return linked_attachment(page, "Leaflet", instant(self.visit.end))

    def _word(self, text: str) -> Any:
        if text in _WORDS:
            return _WORDS[text](self)
        if " " in text:
            return short_word(text)
        resource_type, _, element = text.partition(".")
        record = next(iter(self.chart.living(resource_type)), None)
        if record is None or (element and element not in record.resource):
            raise NothingThereError(text)
        return record.resource[element] if element else _named_reference(record)


def name_of(resource: JsonObject) -> str:
    """What a person would call a resource."""
    told = resource.get("code") or resource.get("type") or resource.get("vaccineCode")
    concept = told[0] if isinstance(told, list) else told
    if concept and "text" in concept:
        return str(concept["text"])
    name = resource.get("name")
    if isinstance(name, list):
        return str(name[0]["text"])
    return str(name or resource.get("title") or resource["resourceType"])


def _named_reference(record: Record) -> JsonObject:
    return {"reference": record.reference, "display": name_of(record.resource)}


_WORDS: dict[str, Callable[[Filling], Any]] = {
    "subject": lambda f: {**f.chart.subject, "display": f.visit.person.display},
    "practitioner": lambda f: f.visit.person.practitioner,
    "encounter": lambda f: _named_reference(f.visit.record),
    "start": lambda f: instant(f.visit.start),
    "end": lambda f: instant(f.visit.end),
    "day": lambda f: f.visit.start.date().isoformat(),
    "later": lambda f: instant(max(f.visit.end, min(f.visit.end + timedelta(2), f.chart.now))),
    "number": Filling.number,
    "identifier": lambda f: identifier("elsewhere", f"E{f.number()}"),
    "document": lambda f: pdf_attachment("Progress note", instant(f.visit.end)),
    "picture": lambda f: png_attachment("Skin", instant(f.visit.end)),
    "page": Filling.page,
}
