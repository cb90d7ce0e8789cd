"""What is said of a file's lines: paths, types, rules, never values; always of the same lines."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.landing import quality
from ecw_pipeline.landing.landing import LandingPaths, screen_file
from ecw_pipeline.landing.quality import LEAST_LINES, PathUse, Quality, Sampling, quality_of
from ecw_pipeline.settings import Settings

ALL = Sampling(share=1.0)


def _screened(folder: Path, resource_type: str, *resources: dict[str, Any]) -> Path:
    paths = LandingPaths(folder, f"{resource_type}/00000.ndjson")
    paths.received.parent.mkdir(parents=True, exist_ok=True)
    whole = ({"resourceType": resource_type, **one} for one in resources)
    paths.received.write_text("".join(json.dumps(one) + "\n" for one in whole))
    assert screen_file(paths, resource_type).lines_quarantined == 0
    return paths.screened


def _of(folder: Path, *patients: dict[str, Any], how: Sampling = ALL) -> Quality:
    path = _screened(folder, "Patient", *patients)
    return quality_of(path, "Patient", len(patients), how)


def test_paths_are_told_with_their_types_and_how_many_have_them(tmp_path: Path) -> None:
    found = _of(
        tmp_path,
        {"id": "a", "name": [{"given": ["Ann", "B"]}, {"given": ["C"]}], "active": True},
        {"id": "b", "multipleBirthInteger": 2, "name": []},
        {"id": "c", "name": [{"family": "X"}]},
    )

    assert found.lines_sampled == 3
    assert set(found.paths) == {
        PathUse("active", "boolean", 1),
        PathUse("id", "string", 3),
        PathUse("multipleBirthInteger", "number", 1),
        PathUse("name", "[]", 1),
        PathUse("name", "object[]", 2),
        PathUse("name.family", "string", 1),
        PathUse("name.given", "string[]", 1),
        PathUse("resourceType", "string", 3),
    }


def test_broken_rules_are_told_by_path_without_values(tmp_path: Path) -> None:
    found = _of(
        tmp_path,
        {"id": "a"},
        {"id": "b", "birthDate": "s3cret", "name": [{"period": {"start": "s3cret"}}]},
        {"id": "c", "birthDate": "s3cret", "shoe": 44},
    )

    told = {(one.path, one.count, one.first_line) for one in found.broken}
    assert ("birthDate", 2, 2) in told
    assert ("shoe", 1, 3) in told
    assert ("name.period.start", 1, 2) in told
    assert found.lines_invalid == 2
    assert "s3cret" not in repr(found)


def test_a_required_element_that_is_missing_is_a_broken_rule(tmp_path: Path) -> None:
    path = _screened(tmp_path, "Observation", {"id": "a", "code": {"text": "x"}})

    found = quality_of(path, "Observation", 1, ALL)

    assert [(one.path, one.rule.rpartition(".")[2]) for one in found.broken] == [
        ("status", "missing")
    ]


def test_without_validation_paths_alone_are_told(tmp_path: Path) -> None:
    found = _of(tmp_path, {"id": "a", "shoe": 44}, how=replace(ALL, validates=False))

    assert (found.is_validated, found.broken, found.lines_invalid) == (False, (), 0)
    assert found.lines_sampled == 1


def test_of_a_long_file_the_same_share_is_looked_at_in_any_order(tmp_path: Path) -> None:
    people = [{"id": f"p{number}", "active": number % 3 == 0} for number in range(20_000)]
    how = Sampling(share=0.1, validates=False)

    found = _of(tmp_path / "a", *people, how=how)
    other = _of(tmp_path / "b", *reversed(people), how=how)

    assert 1700 < found.lines_sampled < 2300
    assert (other.paths, other.lines_sampled) == (found.paths, found.lines_sampled)


def test_of_a_short_file_enough_lines_are_looked_at(tmp_path: Path) -> None:
    people = [{"id": f"p{number}"} for number in range(LEAST_LINES)]

    assert _of(tmp_path, *people, how=Sampling(0.0, validates=False)).lines_sampled == LEAST_LINES


def test_endless_nesting_and_endless_names_have_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "MOST_PATHS", 50)
    deep: dict[str, Any] = {"url": "u"}
    for _ in range(40):
        deep = {"url": "u", "extension": [deep]}
    people = [{"id": f"p{n}", f"name{n}": 1, "extension": [deep]} for n in range(100)]

    found = _of(tmp_path, *people)

    assert len(found.paths) == 50


def test_a_file_is_looked_at_once_and_anew_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []
    look = quality._look

    def watched(screened: Path, resource_type: str, lines: int, how: Sampling) -> Quality:
        looks.append(screened)
        return look(screened, resource_type, lines, how)

    monkeypatch.setattr(quality, "_look", watched)

    first = _of(tmp_path, {"id": "a"})
    screened = tmp_path / "screened" / "Patient" / "00000.ndjson"
    assert quality_of(screened, "Patient", 1, ALL) == first
    assert len(looks) == 1
    quality_of(screened, "Patient", 1, replace(ALL, validates=False))
    assert len(looks) == 2
    _of(tmp_path, {"id": "a"}, {"id": "b"})
    assert len(looks) == 3
    for text in ("", "[]", '{"stamp": 5}'):
        screened.with_suffix(".quality.json").write_text(text)
        assert quality_of(screened, "Patient", 2, ALL).lines_sampled == 2


@pytest.mark.parametrize(
    ("word", "how"),
    [
        ("off", Sampling(0.01, validates=False)),
        ("sample", Sampling(0.01)),
        ("all", Sampling(1.0)),
    ],
)
def test_the_setting_says_how_closely(
    monkeypatch: pytest.MonkeyPatch, word: str, how: Sampling
) -> None:
    monkeypatch.setenv("ECW_VALIDATE", word)

    assert Sampling.of(Settings.from_environment()) == how
