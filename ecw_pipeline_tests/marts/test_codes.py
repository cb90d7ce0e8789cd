"""Which codes a mart asks for: ours, and those that a practice adds."""

import re
from pathlib import Path

import pytest

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.marts.codes import Code, code_lists
from ecw_pipeline_tests.stages.practice import practice, write_lines

ASKED = re.compile(r"ops\.code_list WHERE list = '(\w+)'")
LOCAL = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "99999-9"}]},
    "subject": {"reference": "Patient/ann"},
    "effectiveDateTime": "2025-06-01",
    "valueQuantity": {"value": 7.1, "unit": "%"},
}


def test_every_list_is_asked_for_and_every_one_asked_for_is_there() -> None:
    asked = {name for mart in built_in_marts().values() for name in ASKED.findall(mart.sql)}

    assert {code.list_name for code in code_lists(None)} == asked


def test_a_practice_adds_codes(tmp_path: Path) -> None:
    own = tmp_path / "codes.csv"
    own.write_text("\ufefflist,system,code\nhba1c,http://loinc.org, 99999-9 \n", encoding="utf-8")
    lines = write_lines(tmp_path / "lines", "Observation", LOCAL)
    write_lines(lines, "Patient", {"resourceType": "Patient", "id": "ann"})
    with practice(tmp_path, data=lines) as one:
        one.pull()
        lake = one.lake
        from ecw_pipeline.stages.loading import build_marts

        query = "SELECT count(*) FROM marts.hba1c_latest_per_patient WHERE hba1c_percent = 7.1"
        build_marts(lake, lake.marts.values(), [])
        before = one.rows(query)
        one.set("ECW_CODES", own)
        lake = one.lake
        build_marts(lake, lake.marts.values(), [])
        after = one.rows(query)

    assert (before, after) == ([(0,)], [(1,)])
    assert code_lists(own)[-1] == Code("hba1c", "http://loinc.org", "99999-9", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"list,system,code\nhba1,x,1\n", "line 2: no mart asks for a list 'hba1'"),
        (b"list,code\nhba1c,1\n", "has no column system"),
        (b"", "has no column code, list, system"),
        (b"list,system,code\nhba1c,\xff,1\n", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_told_of(tmp_path: Path, text: bytes, says: str) -> None:
    own = tmp_path / "codes.csv"
    own.write_bytes(text)

    with pytest.raises(ConfigurationError, match=says):
        code_lists(own)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        code_lists(tmp_path / "nowhere.csv")
