"""FHIR search: every page, each resource as the server wrote it, and refusals in words."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from ecw_pipeline.cli.app import app
from ecw_pipeline.errors import ConfigurationError, EcwError, ProtocolError
from ecw_pipeline.fhir_client.search import search
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline_tests.odd_server import raw
from ecw_pipeline_tests.stages.practice import Practice, practice, write_lines

EXACT = '{"resourceType":"Observation","id":"exact","code":{"text":"x"},"valueDecimal":7.10}'


def _observation(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number:03d}",
        "status": "final" if number % 2 else "amended",
        "code": {"coding": [{"system": "u:s", "code": str(number % 7)}]},
        "subject": {"reference": f"Patient/{'ann' if number < 100 else 'bob'}"},
        "effectiveDateTime": f"2024-{number % 12 + 1:02d}-03",
    }


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    """A practice with more observations than fit on a page."""
    folder = tmp_path_factory.mktemp("search")
    lines = folder / "lines"
    write_lines(lines, "Observation", *map(_observation, range(450)), EXACT)
    write_lines(lines, "Patient", {"resourceType": "Patient", "id": "ann"})
    with practice(folder, data=lines) as made:
        yield made


@pytest.fixture(autouse=True)
def _unspoilt(one: Practice) -> Iterator[None]:
    yield
    one.proxy.spoils.clear()


def _found(one: Practice, query: str) -> list[bytes]:
    lake = one.lake
    with open_session(lake.connections()[0], lake.folder, lake.clock) as session:
        return list(search(session, query))


def _names(one: Practice, query: str) -> list[str]:
    return [json.loads(text)["id"] for text in _found(one, query)]


def test_every_page_is_read(one: Practice) -> None:
    before = one.proxy.arrived("/Observation?")

    assert _names(one, "Observation") == [f"o{n:03d}" for n in range(450)] + ["exact"]
    assert one.proxy.arrived("/Observation?") - before == 2  # the first has no query
    assert len(_names(one, "Observation?_count=50")) == 451


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("status=amended", lambda n: n % 2 == 0),
        ("patient=bob&status=final", lambda n: n >= 100 and n % 2 == 1),
        ("subject=Patient/ann", lambda n: n < 100),
        ("code=u:s|3", lambda n: n % 7 == 3),
        ("code=1,2", lambda n: n % 7 in (1, 2)),
        ("date=ge2024-11", lambda n: n % 12 >= 10),
        ("_id=o007", lambda n: n == 7),
        ("_id=none", lambda _: False),
    ],
)
def test_only_what_is_asked_for_comes(one: Practice, query: str, holds: Any) -> None:
    expected = [f"o{number:03d}" for number in range(450) if holds(number)]

    assert _names(one, f"Observation?{query}") == expected


def test_a_resource_is_as_the_server_wrote_it(one: Practice) -> None:
    (text,) = _found(one, "Observation?_id=exact")

    assert text.decode() == EXACT


@pytest.mark.parametrize("query", ["", "observation", "../metadata", "Nothing?x=1"])
def test_what_names_no_type_is_not_sent(one: Practice, query: str) -> None:
    before = len(one.proxy.arrivals)

    with pytest.raises(ConfigurationError, match="is not a FHIR resource type"):
        _found(one, query)

    assert len(one.proxy.arrivals) == before


@pytest.mark.parametrize("query", ["Observation?shoe-size=44", "Task", "Observation?_count=x"])
def test_what_the_server_does_not_take_is_said(one: Practice, query: str) -> None:
    with pytest.raises(ConfigurationError, match="does not take the search"):
        _found(one, query)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (raw(200, b"<html>"), "without a Bundle"),
        (raw(200, b'{"resourceType":"Patient"}'), "without a Bundle"),
        (raw(409, b""), "HTTP 409 without a Bundle"),
        (
            raw(
                200,
                b'{"resourceType":"Bundle","link":[{"relation":"next","url":"?again=1"}]}',
            ),
            "run in a circle",
        ),
        (
            raw(
                200,
                b'{"resourceType":"Bundle",'
                b'"link":[{"relation":"next","url":"https://evil.example/x"}]}',
            ),
            "evil.example",
        ),
    ],
)
def test_answers_that_are_none_are_said(one: Practice, reply: bytes, words: str) -> None:
    one.proxy.spoil("/Patient", lambda _: reply)

    with pytest.raises(EcwError) as caught:
        _found(one, "Patient")

    assert isinstance(caught.value, ProtocolError)
    assert words in caught.value.message


def test_outcomes_among_the_matches_are_left_out(one: Practice) -> None:
    entries = [
        {"resource": {"resourceType": "Patient", "id": "a"}, "search": {"mode": "match"}},
        {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}},
        {"resource": {"resourceType": "Patient", "id": "b"}},
        {"fullUrl": "urn:x"},
    ]
    bundle = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    one.proxy.spoil("/Patient", lambda _: raw(200, bundle))

    assert _names(one, "Patient") == ["a", "b"]


def test_the_command_prints_lines_and_stops_where_it_is_told(one: Practice) -> None:
    said = CliRunner().invoke(
        app, ["search", "Observation?patient=ann", "--limit", "3"], catch_exceptions=False
    )

    assert said.exit_code == 0
    assert [json.loads(line)["id"] for line in said.stdout.splitlines()] == ["o000", "o001", "o002"]
