"""Reading by search beside bulk export: requests and seconds for as many Observations.

    python -m benchmarks.search

Each way has a data folder of its own and the budget of the eClinicalWorks preset; landing is
measured, not what follows, which is the same. Searches are tried at large and patient by patient.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import httpx
import msgspec

from ecw_pipeline.sandbox.config import BASE_PATH, SandboxConfig
from ecw_pipeline.sandbox.faults.script import Faults
from ecw_pipeline.sandbox.server import running_sandbox
from ecw_pipeline.stages import landing
from ecw_pipeline.stages.exports import start_exports, wait_for_exports
from ecw_pipeline.stages.lake import Lake

WAYS = {
    "bulk export": ("system", {}),
    "search, 200 a page": ("search", {}),
    "search, patient by patient": ("search", {"narrow_searches": {}, "no_batches": {}}),
    "the same in batches": ("search", {"narrow_searches": {}}),
}
RESOURCES_PER_PATIENT = 20


def main() -> None:
    arguments = parsed_arguments()
    print(f"{'resources':>10} {'way':28} {'requests':>9} {'seconds':>8}")
    for count in arguments.resources:
        for name, (level, faults) in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                requests, seconds = measured(Path(folder), count, level, faults)
            print(f"{count:>10,} {name:28} {requests:>9,} {seconds:>8.1f}")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resources", type=int, nargs="*", default=[100, 1000, 5000])
    return parser.parse_args()


def write_practice(folder: Path, count: int) -> Path:
    """So many Observations of a twentieth as many patients."""
    folder.mkdir()
    patients = max(count // RESOURCES_PER_PATIENT, 1)
    members = [{"entity": {"reference": f"Patient/p{n}"}} for n in range(patients)]
    lines = {
        "Group": [{"resourceType": "Group", "id": "everybody", "member": members}],
        "Patient": [{"resourceType": "Patient", "id": f"p{n}"} for n in range(patients)],
        "Observation": [
            {
                "resourceType": "Observation",
                "id": f"o{n}",
                "status": "final",
                "code": {"text": "a result"},
                "subject": {"reference": f"Patient/p{n % patients}"},
            }
            for n in range(count)
        ],
    }
    for resource_type, resources in lines.items():
        text = b"".join(msgspec.json.encode(one) + b"\n" for one in resources)
        (folder / f"{resource_type}.ndjson").write_bytes(text)
    return folder


def measured(
    folder: Path, count: int, level: str, faults: dict[str, dict[str, object]]
) -> tuple[int, float]:
    """How many requests one way takes to land everything, tokens included, and how long."""
    data = write_practice(folder / "practice", count)
    config = SandboxConfig(data=data, port=0, retry_after_seconds=2, export_seconds=2.0)
    with running_sandbox(config, Faults.from_mapping(faults)) as sandbox:
        os.environ |= {
            "ECLINICALWORKS_FHIR_ENDPOINT": sandbox.server_url + BASE_PATH,
            "ECLINICALWORKS_CLIENT_ID": config.client_id,
            "ECLINICALWORKS_CLIENT_SECRET": config.client_secret,
            "ECW_RESOURCE_TYPES": "Patient,Observation",
            "ECW_EXPORT_LEVEL": level,
            "ECW_GROUP_ID": "everybody" if level == "search" else "",
            "ECW_DATA": str(folder / "data"),
        }
        started = time.monotonic()
        lake = Lake.from_environment()
        asked = start_exports(lake, lake.connections()[0], ["2026-01-05"])
        for export in wait_for_exports(lake, [one.export_id for one in asked]):
            for one in lake.ledger.types(export.export_id):
                landing.land_type(lake, export, one.resource_type)
                if one.resource_type == "Observation":
                    assert landing.counts_of(lake, export, "Observation").lines_landed == count
        seconds = time.monotonic() - started
        stats = httpx.get(f"{sandbox.server_url}/sandbox/stats").json()
    return sum(stats["by_kind"].values()), seconds


if __name__ == "__main__":
    main()
