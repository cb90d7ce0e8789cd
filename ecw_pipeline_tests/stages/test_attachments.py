"""Documents become files: fetched or decoded once, and joined to their resources."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.attachments import pdf
from ecw_pipeline.errors import BadDataError, ConfigurationError, MachineError
from ecw_pipeline.sandbox.population.documents import pdf_attachment
from ecw_pipeline.stages.attachments import FETCHES_AT_A_TIME, fetch_attachments
from ecw_pipeline.stages.loading import load_exports
from ecw_pipeline.stages.rebuilding import rebuild
from ecw_pipeline_tests.builders import mode_of
from ecw_pipeline_tests.stages.child import KILLED, in_child
from ecw_pipeline_tests.stages.documents import (
    CARRIERS,
    PAGE,
    Office,
    attach_here,
    binary,
    document,
    encoded,
    office,
    sha1_of,
)
from ecw_pipeline_tests.stages.practice import view

TEXT = "Seen again in spring."
KILLS = {
    "mid-file": "before ecw_pipeline.attachments.store.Arriving.take",
    "before its name": "before ecw_pipeline.attachments.store.Arriving.keep",
    "before it is written down": "before ecw_pipeline.ledger.Ledger.mark_attachment",
}


def _held(resource_id: str, content: bytes = PAGE, **said: Any) -> dict[str, Any]:
    """A DocumentReference that holds its document."""
    return document(resource_id, data=encoded(content), **said)


def test_a_document_at_an_address_becomes_a_file(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), binary("b1")) as one:
        attached = one.attach()

        sha256 = hashlib.sha256(PAGE).hexdigest()
        assert attached.states == {"practice": {"fetched": 1}}
        assert one.rows() == [("d1", "fetched", TEXT)]
        ((path, known, size_bytes, patient),) = one.rows("path, sha256, size_bytes, patient_id")
        assert (known, size_bytes, patient) == (sha256, len(PAGE), "ann")
        file = one.lake.folder.root / path
        assert file.read_bytes() == PAGE
        assert one.files() == [file]
        assert (mode_of(file), mode_of(file.parent)) == (0o600, 0o700)


def test_before_the_first_run_documents_are_planned(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), binary("b1")) as one:
        assert one.rows() == [("d1", "planned", None)]
        assert one.requests() == 0


def test_a_second_run_fetches_nothing(tmp_path: Path) -> None:
    documents = [document(f"d{n}", url=f"Binary/b{n}") for n in range(3)]
    binaries = [binary(f"b{n}", b"<p>%d</p>" % n) for n in range(3)]
    with office(tmp_path, *documents, *binaries) as one:
        assert one.attach().fetched == 3
        before = one.requests()

        assert one.attach(retry=True).settled == 0

        assert before == one.requests() == 3


def test_every_element_that_has_attachments_is_read(tmp_path: Path) -> None:
    held = {"contentType": "text/plain", "data": encoded(b"held")}
    linked = {"contentType": "text/html", "url": "Binary/b1"}
    report = {"resourceType": "DiagnosticReport", "id": "r1", "presentedForm": [held, linked]}
    payload = [{"contentString": "Hello"}, {"contentAttachment": held}]
    message = {"resourceType": "Communication", "id": "m1", "status": "completed"}
    picture = {"resourceType": "Media", "id": "p1", "status": "completed", "content": linked}
    resources = (report, message | {"payload": payload}, picture, binary("b1"))
    with office(tmp_path, *resources) as one:
        one.attach()

        assert one.rows("element, ordinal, resource_id, text") == [
            ("Communication.payload", 1, "m1", "held"),
            ("DiagnosticReport.presentedForm", 0, "r1", "held"),
            ("DiagnosticReport.presentedForm", 1, "r1", TEXT),
            ("Media.content", 0, "p1", TEXT),
        ]
        assert one.requests() == 1  # both resources name one Binary
        assert len(one.files()) == 2


def test_the_same_content_is_one_file(tmp_path: Path) -> None:
    documents = (document("d1", url="Binary/b1"), document("d2", url="Binary/b2"), _held("d3"))
    with office(tmp_path, *documents, binary("b1"), binary("b2")) as one:
        one.attach()

        assert [state for _, state, _ in one.rows()] == ["fetched"] * 3
        assert len(one.files()) == 1


def test_what_is_declared_to_be_the_same_is_fetched_once(tmp_path: Path) -> None:
    said = {"hash": sha1_of(PAGE), "size": len(PAGE)}
    documents = [document(f"d{n}", url=f"Binary/b{n}", **said) for n in range(3)]
    with office(tmp_path, *documents, *(binary(f"b{n}") for n in range(3))) as one:
        one.attach()

        fetched = ("fetched", "text/html; charset=utf-8", TEXT)
        assert one.rows("state, content_type, text") == [fetched] * 3
        assert one.requests() == 1


def test_what_a_resource_holds_is_decoded(tmp_path: Path) -> None:
    text = encoded(PAGE)
    said = {"hash": sha1_of(PAGE), "size": len(PAGE)}
    with office(tmp_path, document("d1", data=f"{text[:8]}\n {text[8:]}", **said)) as one:
        one.attach()

        assert one.rows() == [("d1", "fetched", TEXT)]
        assert one.requests() == 0


@pytest.mark.parametrize("data", ["no base64!", "QUJ", "é"])
def test_what_is_not_base64_is_unreadable_and_stops_nothing(tmp_path: Path, data: str) -> None:
    with office(tmp_path, document("d1", data=data), _held("d2")) as one:
        one.attach()

        assert one.rows("resource_id, state") == [("d1", "unreadable"), ("d2", "fetched")]
        assert one.rows("error")[0][0].startswith("its data is not base64 → ")
        assert one.attach().settled == 0


def test_held_content_is_verified(tmp_path: Path) -> None:
    with office(tmp_path, _held("d1", hash=sha1_of(b"something else"))) as one:
        one.attach()

        assert one.outcome()[0] == "changed"
        assert one.files() == []


def test_held_content_beyond_the_limit_is_not_kept(tmp_path: Path) -> None:
    with office(tmp_path, _held("d1", b"x" * (2 << 20))) as one:
        one.practice.set("ECW_MAX_ATTACHMENT_MEGABYTES", 1)
        one.attach()
        assert one.outcome()[0] == "too_large"

        one.practice.set("ECW_MAX_ATTACHMENT_MEGABYTES", 2)
        one.attach()
        assert one.outcome() == ("fetched", "")


@pytest.mark.parametrize("url", ["Binary/b1", "{base}/Binary/b1"])
def test_a_binary_that_has_landed_is_not_fetched(tmp_path: Path, url: str) -> None:
    with office(tmp_path, binary("b1"), types=f"{CARRIERS},Binary") as one:
        base_url = one.lake.connections()[0].base_url
        one.have(document("d1", url=url.format(base=base_url)))
        one.pull_everything()

        one.attach()

        assert one.rows() == [("d1", "fetched", TEXT)]
        assert one.requests() == 0


def test_a_binary_without_data_is_unreadable(tmp_path: Path) -> None:
    empty = {"resourceType": "Binary", "id": "b1", "contentType": "text/html"}
    resources = (document("d1", url="Binary/b1"), empty)
    with office(tmp_path, *resources, types=f"{CARRIERS},Binary") as one:
        one.attach()

        assert one.outcome()[0] == "unreadable"
        assert one.outcome()[1].startswith("it holds no data → ")


def test_a_binary_of_another_server_is_not_taken_for_ours(tmp_path: Path) -> None:
    resources = (document("d1", url="https://elsewhere.example/r4/Binary/b1"), binary("b1"))
    with office(tmp_path, *resources, types=f"{CARRIERS},Binary") as one:
        one.attach()

        assert one.outcome()[0] == "refused"


def test_the_row_follows_its_resource(tmp_path: Path) -> None:
    documents = [document(f"d{n}", url=f"Binary/b{n}") for n in range(2)]
    binaries = [binary(f"b{n}", b"<p>%d</p>" % n) for n in range(3)]
    with office(tmp_path, *documents, *binaries) as one:
        one.attach()
        one.have(document("d1", url="Binary/b2"))  # the other one is gone
        one.pull_everything()
        assert one.rows() == [("d1", "planned", None)]

        one.attach()

        assert one.rows() == [("d1", "fetched", "2")]
        assert one.requests() == 3


def test_a_changed_resource_without_a_hash_has_its_document_fetched_again(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), binary("b1")) as one:
        one.attach()
        one.have(document("d1", url="Binary/b1") | {"docStatus": "amended"}, binary("b1", b"new"))
        one.pull_everything()

        one.attach()

        assert one.rows() == [("d1", "fetched", "new")]


def test_a_changed_resource_with_the_same_hash_has_not(tmp_path: Path) -> None:
    first = document("d1", url="Binary/b1", hash=sha1_of(PAGE))
    with office(tmp_path, first, binary("b1")) as one:
        one.attach()
        one.have(first | {"docStatus": "amended"})
        one.pull_everything()

        assert one.attach().settled == 0
        assert one.rows() == [("d1", "fetched", TEXT)]


def test_a_resource_that_did_not_change_moves_nothing(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), binary("b1")) as one:
        one.attach()
        one.pull_everything()

        assert one.attach().settled == 0


def test_a_file_that_was_lost_comes_again(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), binary("b1")) as one:
        one.attach()
        one.files()[0].unlink()

        assert one.attach().fetched == 1
        assert len(one.files()) == 1


@pytest.mark.parametrize("step", KILLS.values(), ids=KILLS)
def test_killed_in_mid_file_the_next_run_goes_on(tmp_path: Path, step: str) -> None:
    documents = [document(f"d{n}", url=f"Binary/b{n}") for n in range(10, 22)]
    binaries = [binary(f"b{n}", b"<p>%d</p>" % n) for n in range(10, 22)]
    with office(tmp_path, *documents, *binaries) as one:
        assert in_child(attach_here, (step,) * 7).exit_code == KILLED
        assert 6 <= one.requests() <= 8

        one.attach()

        told = [(state, text) for _, state, text in one.rows()]
        assert told == [("fetched", str(n)) for n in range(10, 22)]
        assert one.requests() <= 12 + FETCHES_AT_A_TIME
        assert [path for path in one.files() if path.suffix == ".part"] == []


def test_rebuilt_from_what_was_received_the_warehouse_has_them_too(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), _held("d2"), binary("b1")) as one:
        one.attach()
        rows, requests = one.rows("*"), one.requests()
        one.lake.folder.warehouse.unlink()

        rebuild(one.lake, [])

        assert one.rows("*") == rows
        assert one.requests() == requests


def test_a_type_that_is_not_wanted_is_not_fetched_until_it_is(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), binary("b1")) as one:
        one.practice.set("ECW_ATTACHMENT_TYPES", "application/pdf, image/*")
        one.attach()
        assert one.outcome()[0] == "unwanted"
        assert one.requests() == 0

        one.practice.set("ECW_ATTACHMENT_TYPES", "text/*")
        one.attach()
        assert one.outcome() == ("fetched", "")


def test_the_text_of_a_pdf_is_read_once_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = base64.b64decode(pdf_attachment("Ankle", "2026")["data"])
    said = {"url": "Binary/b1", "contentType": "application/pdf"}
    with office(tmp_path, document("d1", **said), binary("b1", content, "application/pdf")) as one:
        with monkeypatch.context() as without:
            without.setattr(pdf, "find_spec", lambda _: None)
            one.attach()
        assert one.rows() == [("d1", "fetched", None)]

        for _ in range(2):
            assert one.attach().settled == 0
            assert one.rows() == [("d1", "fetched", "Synthetic report: Ankle\n")]
        assert one.requests() == 1


def test_documents_go_last(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), binary("b1")) as one:
        one.attach()

        budget = one.lake.folder.budget("practice")
        assert budget.with_suffix(".attachments.lock").exists()


def test_a_view_of_ones_own_without_the_columns_is_left_out(tmp_path: Path) -> None:
    own = view("document_reference_content", "id") | {"resource": "DocumentReference"}
    report = {"resourceType": "DiagnosticReport", "id": "r1"}
    form = {"contentType": "text/html", "data": encoded(PAGE)}
    with office(tmp_path, _held("d1"), report | {"presentedForm": [form]}) as one:
        _override(one, tmp_path, own)
        one.attach()

        assert one.rows("resource_id, state") == [("r1", "fetched")]


def _override(one: Office, folder: Path, own: dict[str, Any]) -> None:

    (folder / "views").mkdir()
    (folder / "views" / "own.json").write_text(json.dumps(own), encoding="utf-8")
    one.practice.set("ECW_VIEW_DEFINITIONS", folder / "views")
    load_exports(one.lake)


def test_without_a_warehouse_it_says_how_to_fill_one(tmp_path: Path) -> None:
    with office(tmp_path) as one:
        one.practice.set("ECW_DATA", tmp_path / "elsewhere")

        with pytest.raises(ConfigurationError, match="fill it first: ecw export"):
            one.attach()


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_received_file_that_is_gone_or_was_cut_is_said(tmp_path: Path, is_gone: bool) -> None:
    with office(tmp_path, _held("d1")) as one:
        pattern = "*/*/DocumentReference/*.ndjson*"
        (received,) = one.lake.folder.landing.glob(pattern)
        received.write_bytes(b"")
        if is_gone:
            received.unlink()

        with pytest.raises(MachineError if is_gone else BadDataError):
            one.attach()


def test_a_connection_that_cannot_be_asked_says_so_and_keeps_what_is_planned(
    tmp_path: Path,
) -> None:
    with office(tmp_path, document("d1", url="Binary/b1"), _held("d2"), binary("b1")) as one:
        one.practice.set("ECLINICALWORKS_CLIENT_SECRET", "wrong")
        one.lake.folder.token("practice").unlink()
        errors: list[Any] = []

        attached = fetch_attachments(one.lake, errors)

        assert [type(error) for error in errors] == [ConfigurationError]
        assert attached.states == {"practice": {"fetched": 1, "planned": 1}}
