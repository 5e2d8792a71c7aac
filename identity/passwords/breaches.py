"""Passwords that became known in breaches of other services: how often each was seen there.

The form is that of Pwned Passwords. Its range service is told the first five hexadecimal digits of a password's SHA-1
and answers the rest of every hash that begins so; which of them was meant stays here. Its download is a sorted file of
them all, with 40 digits a line.

Who sets a password asks before their transaction and their turn at hashing, as a service may take a while. Nobody is
kept from a new password by a source that does not answer: that is logged and in the audit, and the password passes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

from identity import audit, outbound, policies
from identity.conf import conf
from identity.context import RequestContext
from identity.errors import PasswordRefused
from identity.events import EventType
from identity.models import Tenant
from identity.texts import is_storable, prepared_password

_PREFIX_LENGTH = 5
_LINE = re.compile(rb"([0-9A-Fa-f]+):([0-9]{1,12})")
_MAX_LINE_BYTES = 64  # 40 digits, a colon, a count and the end of the line
_SHARE = "breaches"  # calls of one process that are under way together, and rest together after failures

log = logging.getLogger(__name__)


class BreachesUnavailable(Exception):
    """The source gave no usable answer. `str()` is the reason, and holds nothing of the password."""


def check(password: str, *, tenant: Tenant, context: RequestContext, actor: Any = None, target: Any = None) -> None:
    """Refuse a new password that was seen as often as the tenant's policy says. Raises PasswordRefused (PWD.0004).

    To be called without a transaction and without a turn. One whose length the policy refuses anyway is not looked up.
    """
    policy = policies.password_policy(tenant)
    if not policy.refuse_breached or not is_storable(password):
        return
    prepared = prepared_password(password)
    if not policy.min_length <= len(prepared) <= policy.max_length:
        return
    try:
        seen = count(prepared)
    except BreachesUnavailable as error:
        log.warning("breach.unavailable", extra={"reason": str(error)})
        audit.record(
            EventType.BREACH_UNAVAILABLE,
            tenant=tenant,
            actor=actor,
            target=target,
            context=context,
            outcome="refused",
            reason=str(error),
        )
        return
    if seen >= policy.breach_threshold:
        raise PasswordRefused("PWD.0004", log_detail="known from a breach")


def count(password: str) -> int:
    """Return how often a password was seen; 0 is never. Raises BreachesUnavailable."""
    source = conf.breached_passwords
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    if not source:
        raise BreachesUnavailable("no source is configured")
    if "://" in source:
        return _of_service(source, digest)
    try:
        with Path(source).open("rb") as file:
            return _of_file(file, digest.encode())
    except OSError as error:
        raise BreachesUnavailable(f"file: {type(error).__name__}") from error


def _of_service(url: str, digest: str) -> int:
    prefix, suffix = digest[:_PREFIX_LENGTH], digest[_PREFIX_LENGTH:].encode()
    limits = outbound.Limits.from_settings(total_seconds=conf.breach_timeout_seconds)
    try:
        # The installation's own setting, which may name a mirror in its own network.
        answer = outbound.request(
            "GET",
            f"{url.rstrip('/')}/{prefix}",
            headers={"Accept": "text/plain", "Add-Padding": "true"},
            internal=True,
            limits=limits,
            share=_SHARE,
        )
    except outbound.OutboundError as error:
        raise BreachesUnavailable(f"service: {type(error).__name__}") from error
    if answer.status != 200:
        raise BreachesUnavailable(f"service: status {answer.status}")
    # Every line is read before one of them counts: a page of a proxy is no answer.
    counts = dict(_parsed(line, digits=len(suffix)) for line in answer.body.splitlines())
    if not counts:
        raise BreachesUnavailable("service: an empty answer")
    return counts.get(suffix, 0)  # lines of padding have a count of 0


def _of_file(file: BinaryIO, digest: bytes) -> int:
    """Search a sorted file by halves, and read a line or two of each."""
    low, high = 0, file.seek(0, os.SEEK_END)  # between them begins the line that is looked for
    while low < high:
        middle = (low + high) // 2
        file.seek(max(middle - 1, 0))
        if middle:
            _read_line(file)  # the rest of the line before
        start = file.tell()
        if start >= high:
            high = middle
            continue
        found, seen = _parsed(_read_line(file).rstrip(b"\r\n"), digits=len(digest))
        if found == digest:
            return seen
        if found < digest:
            low = file.tell()
        else:
            high = middle
    return 0


def _read_line(file: BinaryIO) -> bytes:
    line = file.readline(_MAX_LINE_BYTES)
    if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
        raise BreachesUnavailable("not lines of a hash and a count")
    return line


def _parsed(line: bytes, *, digits: int) -> tuple[bytes, int]:
    match = _LINE.fullmatch(line)
    if match is None or len(match[1]) != digits:
        raise BreachesUnavailable("not lines of a hash and a count")
    return match[1].upper(), int(match[2])
