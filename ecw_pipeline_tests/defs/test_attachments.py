"""Documents as an asset with a job of its own."""

from pathlib import Path

import dagster as dg

from ecw_pipeline.definitions import defs
from ecw_pipeline.defs.automation import daily_attachments
from ecw_pipeline_tests.stages.documents import binary, document, office
from ecw_pipeline_tests.stages.practice import DAY

KEY = dg.AssetKey("attachments")


def test_the_job_fetches_documents_and_counts_them(tmp_path: Path) -> None:
    documents = (document("d1", url="Binary/b1"), document("d2", url="Binary/none"))
    with office(tmp_path, *documents, binary("b1")) as one:
        result = one.practice.site.run("fetch_attachments", DAY)

        (told,) = result.asset_materializations_for_node("attachments")
        counts = {name: value.value for name, value in told.metadata.items()}
        assert counts == {"fetched_now": 1, "practice/fetched": 1, "practice/gone": 1}
        assert one.rows("resource_id, state") == [("d1", "fetched"), ("d2", "gone")]


def test_it_comes_after_the_tables_that_list_documents() -> None:
    graph = defs.resolve_asset_graph()

    assert dg.AssetKey(["core", "document_reference_content"]) in graph.get(KEY).parent_keys
    assert graph.get(KEY).group_name == "attachments"


def test_no_other_job_waits_for_it() -> None:
    jobs = [job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]

    having = [job.name for job in jobs if KEY in job.asset_layer.executable_asset_keys]

    assert having == [daily_attachments.job_name] == ["fetch_attachments"]
