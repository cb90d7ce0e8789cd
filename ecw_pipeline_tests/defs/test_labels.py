"""Assets are found by their type, and belong to whoever is told of failures."""

import dagster as dg

from ecw_pipeline.definitions import defs
from ecw_pipeline.defs.exports import export_request
from ecw_pipeline.defs.labels import DICTIONARY, owned

GRAPH = defs.resolve_asset_graph()


def _owners(addresses: list[str]) -> list[str]:
    (made,) = owned([export_request], addresses)
    (spec,) = made.specs
    return list(spec.owners)


def test_a_types_assets_have_its_tag() -> None:
    for key in (["raw", "Patient"], ["flat", "patient_name"], ["core", "patient_name"]):
        assert GRAPH.get(dg.AssetKey(key)).tags["resource_type"] == "Patient"


def test_a_table_and_a_mart_lead_to_their_place_in_the_dictionary() -> None:
    for name in ("core.patient", "marts.polypharmacy"):
        place = GRAPH.get(dg.AssetKey(name.split("."))).metadata["dictionary"]
        assert place == dg.MetadataValue.path(f"{DICTIONARY}#{name}")


def test_who_is_told_of_failures_owns_the_assets() -> None:
    assert _owners(["ops@example.org"]) == ["ops@example.org"]


def test_an_address_that_dagster_does_not_take_stops_nothing() -> None:
    assert _owners(["root@localhost", "ops@example.org"]) == ["ops@example.org"]
    assert _owners(["root@localhost"]) == []
