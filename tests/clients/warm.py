"""A process that has imported everything that a server of ours imports, and forks where one is to be started.

To import Django, the libraries and our apps takes a second of a processor for each command and for each process of a
web server; a fork of a process that has done so takes none. What the fork then runs is the same as from a cold start:
`manage.py` or a module as `__main__`, with its arguments, in the environment of the process that it was forked from.
Cold starts are what tests/config is about.

    with Warm(environment, log) as warm:
        server = warm.start("-m", "gunicorn", "config.wsgi:application", output=file)
        server.send_signal(signal.SIGTERM)
        server.wait(10)
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import django

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 15
MESSAGE_BYTES = 65536
MODULES = ("config.urls", "config.web_worker", "gunicorn.app.wsgiapp", "gunicorn.workers.gthread")


class Forked:
    """One process that was forked; it is used as subprocess.Popen is."""

    def __init__(self, words: tuple[str, ...], pid: int, result: int) -> None:
        self.args, self.pid, self.returncode = words, pid, None if result >= 0 else result
        self._result = result

    def poll(self) -> int | None:
        """Return the exit status, as Popen has it, or None while the process runs."""
        return self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._read(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._result], [], [], timeout)[0]:
            said = os.read(self._result, 16)
            os.close(self._result)
            # Nothing is said where the process that waits for this one is gone itself.
            self.returncode = int(said) if said else -signal.SIGKILL
        return self.returncode


class Warm:
    """The process that forks, seen from the test."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.clients.warm", str(theirs.fileno())],
                cwd=ROOT,
                env=dict(environment),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._control.settimeout(START_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, *words: str, output: IO[bytes], environment: Mapping[str, str] | None = None) -> Forked:
        """Run `python *words`. What the environment adds is not seen by the settings, which are read already."""
        ours, theirs = os.pipe()
        message = json.dumps({"words": words, "environment": dict(environment or {})}).encode()
        try:
            socket.send_fds(self._control, [message], [output.fileno(), theirs])
            answer = self._control.recv(MESSAGE_BYTES)
        finally:
            os.close(theirs)
        if not answer:
            os.close(ours)
            raise RuntimeError("The process that forks has ended; its log says why.")
        return Forked(words, int(answer), ours)

    def close(self) -> None:
        """End the process; what it has forked, and nobody has stopped yet, ends with it."""
        self._control.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)


# The process itself ---------------------------------------------------------------------------------------------


def serve(control: socket.socket) -> list[str] | None:
    """Fork for every message. In a fork, return what it is to run; here, return None when the other side is gone."""
    results: dict[int, int] = {}
    woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waker)
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            report_ended(results)
        if control not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 2)
        if not message:
            for pid in results:
                os.kill(pid, signal.SIGTERM)
            return None
        asked = json.loads(message)
        output, result = descriptors
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(output, 1)
            os.dup2(output, 2)
            control.close()
            for descriptor in (output, result, woken, waker, *results.values()):
                os.close(descriptor)
            os.environ.update(asked["environment"])
            words: list[str] = asked["words"]
            return words
        os.close(output)
        results[pid] = result
        control.send(str(pid).encode())


def report_ended(results: dict[int, int]) -> None:
    """Tell the exit status of every process that has ended."""
    while results:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        result = results.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(result, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(result)


def run(words: list[str]) -> int:
    """Do what `python *words` does, and return the status that it ends with."""
    sys.argv = words[1:] if words[0] == "-m" else list(words)
    try:
        if words[0] == "-m":
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as leaving:
        if leaving.code is None or isinstance(leaving.code, int):
            return leaving.code or 0
        print(leaving.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    django.setup()
    for name in MODULES:
        importlib.import_module(name)
    words = serve(control)
    status = 0
    if words is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = run(words)
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the end of an interpreter does
        atexit._run_exitfuncs()
    # To take two thousand modules apart is a quarter of a second of work for nothing.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
