"""`manage.py worker`: sends deliveries, chains the audit, ages keys, purges. Stops gracefully on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.urls import set_script_prefix

from identity import listening, origins
from identity.conf import conf
from identity.keyring import secret_check
from identity.upkeep import upkeep

log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Run the background work of this installation. Any number of workers may run at once."""

    help = "Send deliveries and run purges, audit chaining and key ageing until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One option, for cron and tests."""
        parser.add_argument("--once", action="store_true", help="Do everything once and stop.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Loop until told to stop; what was begun is finished first."""
        stop = threading.Event()

        def ask_to_stop(number: int, frame: FrameType | None) -> None:
            stop.set()

        previous = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGTERM, signal.SIGINT)}
        log.info("worker.start")
        listening.begin()
        listening.ensure()
        try:
            self.prove_secrets(stop, is_patient=not options["once"])
            with ThreadPoolExecutor(
                conf.worker_parallel_deliveries,
                thread_name_prefix="deliver",
                # Django sets it for requests and the first thread only, and notices carry addresses of ours.
                initializer=set_script_prefix,
                initargs=(f"{origins.path_prefix()}/",),
            ) as executor:
                schedule = upkeep.Schedule(upkeep.jobs(executor, is_stopping=stop.is_set))
                schedule.run_due()
                while not stop.is_set() and (schedule.has_more or not options["once"]):
                    if not schedule.has_more:
                        stop.wait(conf.worker_poll_seconds)
                    schedule.run_due()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        log.info("worker.stop")

    @staticmethod
    def prove_secrets(stop: threading.Event, *, is_patient: bool) -> None:
        """Wait for the database, and refuse to work with other secrets than it was written with."""
        while not stop.is_set():
            try:
                secret_check.prove()
            except DatabaseError as error:
                if not is_patient:
                    raise
                log.warning("worker.database", extra={"job": "secrets", "reason": type(error).__name__})
                stop.wait(conf.worker_poll_seconds)
            else:
                return
