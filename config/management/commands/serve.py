"""Prepare this machine and serve: what `make run` does after the packages are there."""

import contextlib
import ipaddress
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config import demo
from config.env import BASE_DIR, Server, read_server
from config.local_secrets import GENERATED_PREFIX
from identity.directory import tenants

SERVERS = {"gunicorn": ("gunicorn", "config.wsgi"), "granian": ("config.granian_server",)}
START_SECONDS = 60
STOP_SECONDS = 35  # a little more than gunicorn's graceful_timeout


class Command(BaseCommand):
    """Migrate, load the demo data once, then run the web server and the worker until one of them ends."""

    help = "Prepare the database, load the demo data, and run the web server with the worker beside it."
    requires_system_checks = [Tags.security]  # the settings; pages and models are the business of `make check`

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse, prepare, serve."""
        server = read_server()
        is_local = is_loopback(server.host)
        call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)
        if not is_local and (reasons := reasons_to_stay_local()):
            raise CommandError(
                f"Not listening on {server.host}: {'; '.join(reasons)}.\n"
                "Use HOST=127.0.0.1, or see docs/operations.md for a server that others can reach."
            )
        if is_local:
            call_command("load_demo")
        if not settings.DEBUG:
            call_command("collectstatic", interactive=False, verbosity=0)
        processes = Processes()
        processes.start([sys.executable, "-m", *SERVERS[server.name]])
        processes.start([sys.executable, "manage.py", "worker", "--skip-checks"])  # done above
        if processes.wait_until_answering(f"{base_url(server)}/livez"):
            self.stdout.write(self.welcome(server, with_demo=is_local))
            self.stdout.flush()
        if not processes.wait():
            raise CommandError("A process ended by itself; the lines above say why.")

    def welcome(self, server: Server, *, with_demo: bool) -> str:
        """Say where to go and who to be there."""
        url = base_url(server)
        lines = ["", f"  Sign in     {url}/", f"  Admin       {url}/admin/"]
        if with_demo:
            lines += [f"  {person.role:<11} {person.user_name} / {person.password}" for person in demo.people()]
        return "\n".join([*lines, "", "  Ctrl-C stops both processes.", ""])


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can connect to the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # A name can point anywhere.


def reasons_to_stay_local() -> list[str]:
    """List what must not be reachable from another machine."""
    reasons = []
    if settings.DEBUG:
        reasons.append("DEBUG is on")
    if str(settings.SECRET_KEY).startswith(GENERATED_PREFIX):
        reasons.append("SECRET_KEY was generated for development")
    if tenants.has_demo_data():
        reasons.append("the database holds the demo tenant's data")
    return reasons


def base_url(server: Server) -> str:
    """Spell the server's own address."""
    return f"http://[{server.host}]:{server.port}" if ":" in server.host else f"http://{server.host}:{server.port}"


class Processes:
    """Child processes that live and end together."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self.stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()

    def start(self, command: Sequence[str]) -> None:
        """Start one child in the project's directory."""
        self.children.append(subprocess.Popen(command, cwd=BASE_DIR))

    def wait_until_answering(self, url: str) -> bool:
        """Return True when the URL answers, False when a child ends or somebody asks to stop first."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self.stopping.is_set() and self._all_run():
            try:
                with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own http address
                    return True
            except urllib.error.HTTPError:
                return True  # an answer all the same
            except OSError:
                self.stopping.wait(0.1)
        return False

    def wait(self) -> bool:
        """Wait for the end, then end every child. True when somebody asked for it, False when a child died."""
        while not self.stopping.is_set() and self._all_run():
            self.stopping.wait(0.5)
        asked = self.stopping.is_set()
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return asked

    def _all_run(self) -> bool:
        return all(child.poll() is None for child in self.children)
