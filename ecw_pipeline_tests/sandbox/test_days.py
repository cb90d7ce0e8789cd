"""Time passes: what an incremental export brings is what changed."""

from typing import Any

from ecw_pipeline_tests.sandbox.harness import Visitor, quick, versions, visiting


def gone(visitor: Visitor, manifest: dict[str, Any]) -> set[str]:
    """The references that the manifest's ``deleted`` files announce."""
    bundles = visitor.lines(manifest, "deleted")
    assert all(bundle["type"] == "transaction" for bundle in bundles)
    requests = [entry["request"] for bundle in bundles for entry in bundle["entry"]]
    assert {request["method"] for request in requests} <= {"DELETE"}
    return {request["url"] for request in requests}


def test_an_export_since_the_last_one_turns_the_old_truth_into_the_new() -> None:
    with visiting(quick(patients=40)) as someone:
        first = someone.sign_in().export()
        before = someone.truth()
        counts = someone.advance(20)
        after = someone.truth()
        second = someone.export(_since=first["transactionTime"])
        output, deleted = versions(someone.lines(second)), gone(someone, second)

    assert output == {key: v for key, v in after.items() if before.get(key) != v}
    assert before.keys() - after.keys() <= deleted
    assert deleted.isdisjoint(after)
    assert any(key.startswith("Patient/") for key in deleted)
    announced = {kind: sum(counts[kind].values()) for kind in ("new", "changed", "deleted")}
    assert announced["new"] + announced["changed"] == len(output)
    assert announced["deleted"] == len(deleted)
    assert all(announced.values())


def test_nothing_changes_when_no_time_passes(visitor: Visitor) -> None:
    first = visitor.export("", _type="Patient,Observation")
    second = visitor.export("", _type="Patient,Observation", _since=first["transactionTime"])

    assert second["output"] == second["deleted"] == []


def test_deletions_are_announced_only_to_those_who_say_since_when() -> None:
    with visiting(quick(patients=40)) as someone:
        first = someone.sign_in().export("", _type="Patient")
        someone.advance(30)
        full = someone.export("", _type="Patient")
        since = someone.export("", _type="Patient", _since=first["transactionTime"])

    assert full["deleted"] == []
    assert since["deleted"][0]["type"] == "Bundle"


def test_an_early_since_brings_only_what_is_younger(visitor: Visitor) -> None:
    since = "2025-06-01T00:00:00+02:00"
    everything = visitor.lines(visitor.export("", _type="Observation"))
    younger = visitor.lines(visitor.export("", _type="Observation", _since=since))

    expected = [r for r in everything if r["meta"]["lastUpdated"] > "2025-05-31T22:00:00Z"]
    assert versions(younger) == versions(expected)
    assert 0 < len(younger) < len(everything)


def test_days_taken_one_by_one_end_like_days_taken_at_once() -> None:
    with visiting(quick()) as someone:
        for _ in range(4):
            someone.advance(1)
        one_by_one = someone.truth()
    with visiting(quick()) as someone:
        someone.advance(4)
        assert someone.truth() == one_by_one


def test_an_export_begun_before_the_days_passed_does_not_see_them() -> None:
    with visiting(quick(patients=30, export_seconds=0.3)) as someone:
        before = someone.sign_in().truth()
        kicked_off = someone.kick_off()
        someone.advance(3)
        manifest = someone.finish(kicked_off)

        assert versions(someone.lines(manifest)) == before


def test_days_that_are_no_days_are_refused(visitor: Visitor) -> None:
    url = f"{visitor.server_url}/sandbox/advance"
    bodies: tuple[Any, ...] = ({"days": 0}, {"days": "two"}, [1], {"days": True})

    assert {visitor.http.post(url, json=body).status_code for body in bodies} == {400}
