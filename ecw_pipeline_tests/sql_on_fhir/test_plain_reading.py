"""The plain reading itself passes the official tests, so that agreeing with it says something."""

import os
from collections import Counter
from typing import Any

import pytest

from ecw_pipeline.sql_on_fhir.conformance import Suite, official_folder, read_suites, typed
from ecw_pipeline_tests.sql_on_fhir.plain_comparison import plain_result

CASES = [
    pytest.param(suite, test, id=f"{suite.file_name}: {test['title']}")
    for suite in read_suites(official_folder(os.environ))
    for test in suite.tests
    if "expect" in test
]


@pytest.mark.parametrize(("suite", "test"), CASES)
def test_the_plain_reading_passes(suite: Suite, test: dict[str, Any]) -> None:
    rows = plain_result(test["view"], suite.resources)
    assert Counter(map(typed, rows)) == Counter(map(typed, test["expect"]))
