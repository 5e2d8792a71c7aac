"""The nginx of docs/operations.md, without TLS and on a port of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.provider import ROOT, free_port, stop, wait_until_open


@contextmanager
def documented_nginx(directory: Path, ports: Sequence[int], *, is_kept: bool = True) -> Iterator[str]:
    """Run it in front of the nodes on these loopback ports; its address.

    is_kept: whether it keeps its connections to the nodes.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        if os.environ.get("CI") == "true":
            pytest.fail("nginx is required here.")
        pytest.skip("There is no nginx.")
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```nginx\n(.*?)```", page, re.S)
    port = free_port()
    example = re.sub(r" +ssl_certificate.*\n", "", example)
    example = example.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace(
        "server_name id.example.com;", "server_name _;"
    )
    # TLS ends here as far as the application is told.
    example = example.replace("X-Forwarded-Proto $scheme", "X-Forwarded-Proto https")
    (node,) = re.findall(r" +server 127\.0\.0\.1:8000.*\n", example)
    example = example.replace(node, "".join(node.replace(":8000", f":{node_port}") for node_port in ports))
    if not is_kept:
        example = example.replace("    keepalive 32;\n", "")
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"daemon off;\nmaster_process off;\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{example}}}\n"
    )
    with (directory / "output.log").open("wb") as output:
        process = subprocess.Popen(
            [nginx, "-p", str(directory), "-c", str(configuration)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_open(process, f"http://127.0.0.1:{port}/livez", directory / "output.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        stop(process)
