"""Documents of the sandbox, and what each of their faults looks like to a plain HTTP client."""

import base64
import hashlib
import json
from typing import Any

import httpx
import pytest

from ecw_pipeline_tests.sandbox.harness import Visitor
from ecw_pipeline_tests.sandbox.suffering import suffering

FHIR = {"Accept": "application/fhir+json"}


@pytest.fixture(scope="module")
def form(hostile: Visitor) -> Any:
    """An attachment that names a Binary."""
    reports = hostile.sign_in().lines(hostile.export("", _type="DiagnosticReport"))
    forms = (form for report in reports for form in report.get("presentedForm", []))
    return next(form for form in forms if "url" in form)


@pytest.fixture(scope="module")
def url(form: Any) -> str:
    return f"/{form['url']}"


def test_a_binary_is_what_its_attachment_says(hostile: Visitor, form: Any, url: str) -> None:
    reply = hostile.sign_in().get(url, Accept="text/html")

    assert reply.headers["content-type"].startswith(form["contentType"])
    assert len(reply.content) == form["size"]
    assert base64.b64encode(hashlib.sha1(reply.content).digest()).decode() == form["hash"]


def test_a_binary_is_fhir_to_who_asks_for_it(hostile: Visitor, url: str) -> None:
    resource = hostile.sign_in().get(url, **FHIR).json()

    assert resource["resourceType"] == "Binary"
    assert base64.b64decode(resource["data"]) == hostile.get(url).content


def test_a_binary_needs_a_scope_and_must_be_there(hostile: Visitor, url: str) -> None:
    assert hostile.sign_in("system/Task.read").get(url).status_code == 403
    assert hostile.sign_in("system/Binary.read").get(url).status_code == 200
    assert hostile.get("/Binary/none").status_code == 404
    assert hostile.http.get(hostile.base_url + url).status_code == 401


def test_no_export_brings_binaries(hostile: Visitor) -> None:
    types = {item["type"] for item in hostile.sign_in().export()["output"]}

    assert "DiagnosticReport" in types
    assert "Binary" not in types


def test_requests_for_documents_are_counted(hostile: Visitor, url: str) -> None:
    hostile.http.post(f"{hostile.server_url}/sandbox/reset-stats")
    hostile.sign_in().get(url)

    seen = hostile.stats()
    assert seen["by_kind"]["attachment"] == 1
    assert seen["files"][url[1:]]["count"] == 1


def test_announced_size(hostile: Visitor, url: str) -> None:
    with (
        suffering(hostile, {"announced_size": {"size_bytes": 1_000_000}}),
        hostile.http.stream("GET", hostile.base_url + url, headers=hostile.headers) as reply,
    ):
        assert reply.headers["content-length"] == "1000000"
        with pytest.raises(httpx.TransportError):
            reply.read()


def test_sign_in_page(hostile: Visitor, url: str) -> None:
    with suffering(hostile, {"sign_in_page": {}}):
        reply = hostile.get(url)

    assert (reply.status_code, "sign in" in reply.text) == (200, True)


def test_changed_content(hostile: Visitor, url: str) -> None:
    honest = hostile.sign_in().get(url).content
    with suffering(hostile, {"changed_content": {}}):
        changed = hostile.get(url).content

    assert changed[:-1] == honest[:-1]
    assert changed[-1] != honest[-1]


def test_binary_as_resource(hostile: Visitor, url: str) -> None:
    with suffering(hostile, {"binary_as_resource": {}}):
        reply = hostile.get(url, Accept="text/html")

    assert json.loads(reply.text)["resourceType"] == "Binary"


@pytest.mark.parametrize("fault", ["redirected_files", "error_status", "cut_body"])
def test_faults_of_files_may_be_of_documents_alone(hostile: Visitor, fault: str, url: str) -> None:
    with suffering(hostile, {fault: {"on": "attachment"}}):
        hostile.export("", _type="Task")
        hostile.get(url)

        assert fault in hostile.stats()["by_fault"]
