"""How fast the client takes files in from a static server on loopback, and what it costs.

python -m benchmarks.download --megabytes 1000        large plain and packed files
python -m benchmarks.download --files 20000           tiny files, one after the other
"""

import argparse
import gzip
import multiprocessing
import os
import resource
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from ecw_pipeline.bulk_export.download import download
from ecw_pipeline.bulk_export.limits import Limits
from ecw_pipeline.clock import SystemClock
from ecw_pipeline.fhir_client.providers import connect
from ecw_pipeline.fhir_client.session import open_session
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.settings import ConnectionSettings

LINE = b'{"resourceType":"Observation","id":"%08d","status":"final","note":"%s"}\n'
LIMITS = Limits(1 << 40, 300)


def lines(size_bytes: int) -> bytes:
    """NDJSON that does not pack too well."""
    made = bytearray()
    while len(made) < size_bytes:
        made += LINE % (len(made), os.urandom(60).hex().encode())
    return bytes(made)


def serve(pipe: Pipe, block: bytes, times: int) -> None:
    """Send ``block`` so many times as one file, from a process of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(block) * times))
            self.end_headers()
            for _ in range(times):
                self.wfile.write(block)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pipe.send(server.server_address[1])
        server.serve_forever()


def fetch(port: int, files: int, label: str) -> None:
    """Fetch the file so often, and say what it took."""
    settings = ConnectionSettings(
        connection_id="bench",
        provider="smart-sandbox",
        fhir_endpoint=f"http://127.0.0.1:{port}/r4",
        client_id="bench",
        client_secret="bench",  # type: ignore[arg-type]
        windows=("100000000/1day",),
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        open_session(connect(settings), DataFolder(Path(folder)), SystemClock()) as session,
    ):
        wall, cpu, size_bytes = time.perf_counter(), time.process_time(), 0
        for number in range(files):
            stem = Path(folder) / "landing" / f"{number:05d}"
            url = f"http://127.0.0.1:{port}/{number}"
            size_bytes += download(session, url, stem, LIMITS, with_token=False).size_bytes
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{label}: {size_bytes / 1e6:.0f} MB in {files} files, {wall:.1f} s,"
        f" {cpu:.1f} CPU-s, {size_bytes / 1e6 / cpu:.0f} MB per CPU-second,"
        f" {files / wall:.0f} files/s, resident at most {resident:.0f} MB"
    )


def measure(block: bytes, times: int, files: int, label: str) -> None:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there, block, times), daemon=True)
    server.start()
    fetch(here.recv(), files, label)
    server.terminate()
    server.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=0)
    parser.add_argument("--files", type=int, default=0)
    chosen = parser.parse_args()
    block = lines(1 << 22)
    if chosen.megabytes:
        times = chosen.megabytes // 4
        measure(block, times, 1, "plain")
        packed = gzip.compress(block, 6)
        measure(packed, times, 1, f"gzip, {len(block) / len(packed):.1f} times smaller")
    if chosen.files:
        measure(lines(1000), 1, chosen.files, "tiny")


if __name__ == "__main__":
    main()
