"""Scopes follow from what is wanted and what the server says it knows."""

from dataclasses import replace
from typing import Any

import pytest

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir_client.providers import PROVIDERS, Connection
from ecw_pipeline.fhir_client.scopes import PATIENT, allows, candidates, not_granted
from ecw_pipeline_tests.builders import connection


def first(one: Connection, *supported: str) -> str:
    return " ".join(spellings[0] for spellings in candidates(one, supported))


def wanting(*types: str, **changes: Any) -> Connection:
    return connection(resource_types=types, **changes)


def test_who_wants_everything_asks_for_everything() -> None:
    assert first(wanting()) == "system/*.read"
    assert first(wanting(), "system/*.rs", "openid") == "system/*.rs"


def test_a_server_without_a_wildcard_is_asked_for_all_it_names() -> None:
    supported = ("patient/Task.read", "system/Patient.read", "system/Task.r")

    assert first(wanting(), *supported) == "system/Patient.read system/Task.r"


def test_a_person_is_asked_for_patient_scopes_as_the_server_spells_them() -> None:
    supported = ("system/Patient.read", "patient/Patient.rs", "patient/Task.r", "launch/patient")
    one = wanting("Patient", "Task", level="group", group_id="g1")

    assert candidates(one, supported, PATIENT) == [("patient/Patient.rs",), ("patient/Task.r",)]


@pytest.mark.parametrize("suffix", ["read", "rs", "r"])
def test_a_type_is_asked_for_as_the_server_spells_it(suffix: str) -> None:
    supported = (f"system/Patient.{suffix}", "system/Task.read")

    assert first(wanting("Patient"), *supported) == f"system/Patient.{suffix}"


def test_a_type_the_server_has_no_scope_for_is_left_out() -> None:
    supported = ("system/Patient.read", "system/Patient.write")

    assert first(wanting("Patient", "Task"), *supported) == "system/Patient.read"


def test_a_server_that_lists_the_wildcard_alone_grants_types_in_its_spelling() -> None:
    assert first(wanting("Patient"), "system/*.rs") == "system/Patient.rs"


def test_a_server_that_lists_no_scopes_is_tried_in_each_spelling() -> None:
    (spellings,) = candidates(wanting("Patient"), ["openid", "launch/patient"])

    assert spellings == ("system/Patient.read", "system/Patient.rs", "system/Patient.r")


def test_nothing_to_ask_for_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"Task.*ECW_RESOURCE_TYPES"):
        candidates(wanting("Task"), ["system/Patient.read"])


def test_an_export_of_a_group_needs_to_read_groups() -> None:
    one = wanting("Patient", level="group", group_id="7")

    assert first(one) == "system/Patient.read system/Group.read"


def test_the_live_service_spells_some_types_in_its_own_way() -> None:
    one = replace(wanting(), provider=PROVIDERS["eclinicalworks-live"])
    asked = first(one).split()

    assert {"system/Patient.read", "system/Claim.r", "system/Group.read"} <= set(asked)
    assert not {scope for scope in asked if "Task" in scope or "Communication" in scope}
    assert len(asked) == 36


@pytest.mark.parametrize(
    ("granted", "is_allowed"),
    [
        ("system/Patient.read", True),
        ("system/*.rs openid", True),
        ("system/Patient.cruds", True),
        ("system/Patient.*", True),
        ("system/Patient.rs?gender=female", True),
        ("", True),
        ("system/Patient.write", False),
        ("system/Patient.cud", False),
        ("system/Task.read", False),
        ("launch/patient patient/Patient.rs", True),
        ("user/Task.read offline_access", False),
    ],
)
def test_a_grant_lets_us_read_what_it_names(granted: str, is_allowed: bool) -> None:
    assert allows(granted, "Patient") is is_allowed


def test_what_was_asked_for_in_vain_is_told_whatever_its_spelling() -> None:
    asked = "system/Patient.read system/Task.read system/Claim.r"

    assert not_granted(asked, "system/Patient.rs system/Claim.rs") == ("system/Task.read",)


def test_types_with_documents_come_with_the_scope_to_read_them() -> None:
    wanted = wanting("DiagnosticReport", "Task")
    known = [f"system/{name}.read" for name in ("Binary", "DiagnosticReport", "Task")]

    assert first(wanted, *known).endswith("system/Task.read system/Binary.read")
    assert "Binary" not in first(wanted, *known[1:])
    assert "Binary" not in first(wanting("Task"), *known)
