"""What a chart has beside its core: orders, claims, papers and family, and what is rarely filled.

Written as data in ``further_types.json`` and ``rare_elements.json``, so that every column of every
table has a value somewhere.
"""

from typing import Any

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant, references
from ecw_pipeline.sandbox.population.codes import JsonObject
from ecw_pipeline.sandbox.population.filling import Filling, NothingThereError, name_of
from ecw_pipeline.sandbox.population.visits import Visit
from ecw_pipeline.sandbox.population.words import with_changes, written_templates

_RARE = 10  # one chart in so many has an element of the list of rare ones
_NAMED, _TOLD = 3, 0  # which of them


def add_further(chart: Chart, visit: Visit) -> None:
    """Write what there is beside the core, about one visit."""
    filling = Filling(chart, visit)
    for template in written_templates("further_types.json"):
        if chart.number % template["one_chart_in"] == template.get("from", 0):
            _add(chart, filling, template["resource"])
    _add_rare_elements(chart, filling)
    if chart.number % _RARE == _NAMED:
        _name_references(chart)
    if chart.number % _RARE == _TOLD:
        _tell_all(chart)


def _add(chart: Chart, filling: Filling, template: JsonObject) -> None:
    try:
        body = filling.fill(template)
    except NothingThereError:
        return
    chart.add(body.pop("resourceType"), filling.visit.end, body)


def _add_rare_elements(chart: Chart, filling: Filling) -> None:
    for resource_type, patches in written_templates("rare_elements.json").items():
        for position, patch in enumerate(patches):
            if (chart.number + position) % _RARE == 0:
                _patch(chart, filling, resource_type, patch)


def _patch(chart: Chart, filling: Filling, resource_type: str, patch: JsonObject) -> None:
    """Give it to the last record that it is for: the lasting problems of a chart come first."""
    fitting = [r for r in chart.living(resource_type) if patch["where"] in r.resource]
    if not fitting:
        return
    try:
        changes = filling.fill(patch["changes"])
    except NothingThereError:
        return
    record = fitting[-1]
    if record.reference not in references(changes):
        record.resource = with_changes(record.resource, changes)


def _name_references(chart: Chart) -> None:
    """A server that writes a display wherever it refers."""
    by_reference = {record.reference: record for record in chart.records}
    for record in chart.records:
        record.resource = _named(record.resource, by_reference)


def _named(value: Any, records: dict[str, Record]) -> Any:
    if isinstance(value, list):
        return [_named(inner, records) for inner in value]
    if not isinstance(value, dict):
        return value
    made = {name: _named(inner, records) for name, inner in value.items()}
    record = records.get(made.get("reference", ""))
    if record is not None and "display" not in made:
        made["display"] = name_of(record.resource)
    return made


def _tell_all(chart: Chart) -> None:
    """A server that says who gave an identifier, who wrote a note, which coding a person chose."""
    filled = written_templates("told_in_full.json")
    for record in chart.records:
        told = _chosen(record.resource)
        if isinstance(identifiers := told.get("identifier"), list):
            told["identifier"] = [{**filled["identifier"], **one} for one in identifiers]
        if isinstance(notes := told.get("note"), list):
            told["note"] = [*(_signed(one, chart, record) for one in notes), filled["note"]]
        record.resource = told


def _signed(note: JsonObject, chart: Chart, record: Record) -> JsonObject:
    """With when it was written, and by whom."""
    author = {} if "authorString" in note else {"authorReference": chart.person.practitioner}
    return {"time": instant(record.created_at), **author, **note}


def _chosen(value: Any) -> Any:
    """With the codings of which version they are, and that somebody chose them."""
    if isinstance(value, list):
        return [_chosen(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    made = {name: _chosen(inner) for name, inner in value.items()}
    if {"system", "code", "display"} <= made.keys():
        made |= {"version": "2025-09", "userSelected": True}
    return made
