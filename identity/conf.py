"""Settings of this app: `settings.IDENTITY`, read once into a frozen dataclass.

Use `from identity.conf import conf`. The keys of the dictionary are the field names below. Units are in the
name or the value is a timedelta. `identity.checks` judges the values; nothing here refuses one, so that a
wrong setting is reported by name and not by a traceback. What differs per tenant is a column.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any, cast

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, kw_only=True)
class IdentityConf:
    """Every setting of this app. Lists of keys are newest first."""

    debug: bool = False

    # Secrets, as raw bytes: AES-256 keys that seal columns, peppers of keyed hashes, the key of blind indexes.
    key_encryption_keys: tuple[bytes, ...] = ()
    hash_peppers: tuple[bytes, ...] = ()
    blind_index_key: bytes = b""

    # Where a request comes from: the networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    # Headers of these proxies that are believed too; "" is none. Host is the host, and the request's id is ours.
    forwarded_host_header: str = ""
    request_id_header: str = ""
    # Decision 10: the host that serves the APIs of every tenant, chosen there by X-tenant-id.
    shared_host: str | None = None
    # Ended or expired sessions are kept this long, for operators and late logout messages.
    session_retention: timedelta = timedelta(days=90)
    # Devices that nobody has signed in from are kept this long, spent SSO tickets that long.
    device_retention: timedelta = timedelta(days=365)
    spent_ticket_retention: timedelta = timedelta(days=1)
    # What carries verification codes of tenants that have no gateways of their own, by dotted path, first choice first.
    email_senders: tuple[str, ...] = ("identity.messaging.senders.mail.MailSender",)
    sms_senders: tuple[str, ...] = ()
    # Decision 26: how long one gateway may take before the next one is asked.
    gateway_timeout_seconds: float = 2.0
    # How long operators see what was sent.
    sent_message_retention: timedelta = timedelta(days=30)
    # Send the code of a forgotten password beside the answer, whose time would else tell who has an account (S33).
    send_beside_answer: bool = True

    # How long an operator's typed password counts before a sensitive page asks again, and how much longer a form that
    # was opened in time is still taken.
    password_confirmation_lifetime: timedelta = timedelta(minutes=10)
    password_confirmation_grace: timedelta = timedelta(minutes=50)

    # Turns at hashing passwords (ADR 28), of each process: how many run at once, how many may wait, and for how long
    # after their request was received.
    password_hashes_at_once: int = 1
    password_queue_length: int = 100
    password_queue_seconds: float = 3.0

    # Passwords known from breaches: the URL of a range service, or the path of a sorted file; "" is none. And how long
    # a service may take, from the look-up of its name to the last byte.
    breached_passwords: str = ""
    breach_timeout_seconds: float = 1.5

    # Decision 22: how old what a process remembers of tenants, clients and keys may be; how old where it is told at
    # once of every change (ADR 31); and how much memory it takes at most.
    process_cache_seconds: int = 5
    copies_seconds: int = 300
    copies_max_bytes: int = 64 * 1024 * 1024

    # What one source may have of one tenant, a minute and process, before it is told to wait (429). Generous: a company
    # behind one address starts its day within these.
    documents_per_minute: int = 600  # discovery, published keys, metadata
    parked_requests_per_minute: int = 300  # sign-ins that are begun and leave rows behind
    refused_clients_per_minute: int = 100  # wrong client secrets and assertions; right ones are never refused

    # Signing and decryption keys.
    rsa_key_bits: int = 2048
    # The worker rotates a key that has been active this long; zero leaves rotation to operators.
    key_rotation_interval: timedelta = timedelta(days=90)
    # A retired key stays published this long. No id_token may live longer (see its ceiling in oidc_provider).
    retired_key_lifetime: timedelta = timedelta(hours=25)

    # The one guarded HTTP client.
    outbound_connect_timeout_seconds: float = 3.0
    outbound_read_timeout_seconds: float = 5.0
    outbound_total_timeout_seconds: float = 10.0
    # Calls of one tenant to gateways and providers that are under way at once, in a process.
    outbound_calls_at_once: int = 4
    outbound_max_response_bytes: int = 256 * 1024
    # A file with the certificate authorities to trust in place of the system's; "" is the system's.
    outbound_ca_file: str = ""

    # Outbox (decision 33) and the worker.
    delivery_max_attempts: int = 5
    delivery_timeout_seconds: float = 5.0
    # How long to wait after the first, second … failed attempt.
    delivery_retry_delays: tuple[timedelta, ...] = (
        timedelta(seconds=10),
        timedelta(minutes=1),
        timedelta(minutes=10),
        timedelta(hours=1),
    )
    # A claimed row whose worker died is free again after this time; more than the total of one attempt.
    delivery_lease: timedelta = timedelta(minutes=1)
    # How long rows that were delivered or given up stay visible.
    delivery_retention: timedelta = timedelta(days=30)
    worker_parallel_deliveries: int = 8
    worker_poll_seconds: float = 1.0
    worker_purge_interval: timedelta = timedelta(minutes=10)
    worker_chore_interval: timedelta = timedelta(seconds=5)
    worker_key_check_interval: timedelta = timedelta(hours=1)
    worker_audit_chain_interval: timedelta = timedelta(seconds=10)


_FIELD_NAMES = frozenset(field.name for field in fields(IdentityConf))


def unknown_settings() -> list[str]:
    """Return the keys of `settings.IDENTITY` that name no field: a misspelt one would silently do nothing."""
    return sorted(key for key in _declared() if key not in _FIELD_NAMES)


@lru_cache(maxsize=1)
def current() -> IdentityConf:
    """Return the settings in force. They are made on first use and again after `override_settings`."""
    return IdentityConf(**{key: value for key, value in _declared().items() if key in _FIELD_NAMES})


def _declared() -> dict[str, Any]:
    return getattr(settings, "IDENTITY", {})


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "IDENTITY":
        current.cache_clear()
        vars(conf).clear()


setting_changed.connect(_forget, dispatch_uid="identity.conf")


class _Conf:
    """Reads each field from the settings in force, once, so that a module may keep a reference."""

    def __getattr__(self, name: str) -> Any:
        return vars(self).setdefault(name, getattr(current(), name))


conf = cast(IdentityConf, _Conf())
