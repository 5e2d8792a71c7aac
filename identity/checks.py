"""System checks of this app's settings. Codes are stable: identity.E… stops the start, W… is advice.

E001 unknown key, E002 wrong type, E003 out of range, E004 missing secret, E005 weak secret, E006 one secret
used twice, E007 settings that contradict each other, E008 codes on the terminal outside development, E009 other
secrets than the database was written with, W101 on deployment, W102 a stored value that cannot be used (with
`--database default`), W103 operators without factors of their own (with `--deploy --database default`), W104 codes
offered for signing in that nothing carries (with `--database default`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, get_type_hints

from django.apps import AppConfig, apps
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connections, transaction
from django.db import Error as AnyDatabaseError
from django.db.models import Q

from identity.conf import IdentityConf, current, unknown_settings
from identity.messaging.messages import has_route
from identity.models import Tenant, User, VerificationChannel
from identity.models.reading import ReadSafely, unusable_values

_NETWORK = (IPv4Network, IPv6Network)
# What a field's annotation accepts. Booleans are integers to Python, so they are told apart by hand.
_TYPES: dict[Any, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
    bytes: (bytes,),
    timedelta: (timedelta,),
    str | None: (str, type(None)),
}
_ITEM_TYPES: dict[Any, tuple[type, ...]] = {
    tuple[bytes, ...]: (bytes,),
    tuple[str, ...]: (str,),
    tuple[timedelta, ...]: (timedelta,),
    tuple[IPv4Network | IPv6Network, ...]: _NETWORK,
}
# Smallest and largest sensible values, both included.
_RANGES: dict[str, tuple[Any, Any]] = {
    "session_retention": (timedelta(days=1), timedelta(days=3650)),
    "gateway_timeout_seconds": (0.1, 10),
    "sent_message_retention": (timedelta(hours=1), timedelta(days=366)),
    "password_hashes_at_once": (1, 1000),
    "password_queue_length": (0, 100_000),
    "password_queue_seconds": (0.1, 60),
    "breach_timeout_seconds": (0.1, 10),
    "process_cache_seconds": (0, 5),  # decision 22 promises 5 s to operators who switch something off
    "copies_seconds": (0, 3600),
    "copies_max_bytes": (1024 * 1024, 8 * 1024**3),
    "rsa_key_bits": (2048, 8192),
    "key_rotation_interval": (timedelta(0), timedelta(days=3650)),
    "retired_key_lifetime": (timedelta(minutes=1), timedelta(days=366)),
    "outbound_connect_timeout_seconds": (0.1, 30),
    "outbound_read_timeout_seconds": (0.1, 60),
    "outbound_total_timeout_seconds": (0.1, 120),
    "outbound_max_response_bytes": (1024, 16 * 1024 * 1024),
    "delivery_max_attempts": (1, 20),
    "delivery_timeout_seconds": (0.1, 60),
    "delivery_lease": (timedelta(seconds=5), timedelta(hours=1)),
    "delivery_retention": (timedelta(hours=1), timedelta(days=3650)),
    "outbound_calls_at_once": (1, 1000),
    "documents_per_minute": (1, 1_000_000),
    "parked_requests_per_minute": (1, 1_000_000),
    "refused_clients_per_minute": (1, 1_000_000),
    "worker_parallel_deliveries": (1, 64),
    "worker_poll_seconds": (0.05, 60),
    "worker_purge_interval": (timedelta(seconds=1), timedelta(days=1)),
    "worker_chore_interval": (timedelta(seconds=1), timedelta(hours=1)),
    "worker_key_check_interval": (timedelta(seconds=1), timedelta(days=1)),
    "worker_audit_chain_interval": (timedelta(seconds=1), timedelta(days=1)),
}
# Of one table; whoever mends them sees the next ones.
_MOST_NAMED = 50
CONSOLE_SENDER = "identity.messaging.senders.console.ConsoleSender"
_AES_KEY_BYTES = 32
_MIN_SECRET_BYTES = 32


@register(Tags.security)
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Judge names, types, ranges, secrets and combinations."""
    messages: list[CheckMessage] = [
        Error(f'IDENTITY["{key}"] is not a setting.', id="identity.E001") for key in unknown_settings()
    ]
    conf = current()
    type_errors = list(_wrong_types(conf))
    messages += type_errors
    if not type_errors:  # Values of a wrong type cannot be compared.
        messages += [*_out_of_range(conf), *_bad_secrets(conf), *_contradictions(conf)]
    return messages


@register(Tags.security)
def check_secrets(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Stop every command that has other secrets than the database; before there is one, nothing can be told."""
    from identity.keyring import secret_check  # models are not ready when checks are registered

    try:
        wrong = secret_check.find_wrong()
    except AnyDatabaseError:
        return []
    return [
        Error(
            f"{name} is not what this database was written with.",
            hint="Use the environment of the database; see docs/operations.md, Secrets and their database.",
            id="identity.E009",
        )
        for name in wrong
    ]


@register(Tags.security, deploy=True)
def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Advise on what is allowed but seldom meant in production."""
    conf = current()
    messages: list[CheckMessage] = []
    if any(network.prefixlen == 0 for network in conf.trusted_proxies):
        messages.append(
            checks.Warning(
                "Every address is a trusted proxy, so anybody can forge a client address.",
                hint="Name the networks of your proxies in TRUSTED_PROXIES.",
                id="identity.W101",
            )
        )
    if not conf.debug and CONSOLE_SENDER in (*conf.email_senders, *conf.sms_senders):
        messages.append(
            checks.Error(
                "Verification codes would be printed on the terminal, and refused there.",
                hint="Take the console sender out of email_senders and sms_senders.",
                id="identity.E008",
            )
        )
    return messages


@register(Tags.database, deploy=True)
def check_operators(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Name the tenants whose operators may come in by a password alone, or by a code that a gateway carries."""
    if "default" not in (databases or ()):
        return []
    operators = User.objects.present().filter(Q(is_staff=True) | Q(is_superuser=True), is_active=True)
    is_guarded = Q(session_policy__operators_need_own_factor=True) | Q(session_policy__mfa_mode="phishing_resistant")
    open_tenants = Tenant.objects.filter(is_active=True, pk__in=operators.values("tenant")).exclude(is_guarded)
    try:
        codes = list(open_tenants.order_by("pk").values_list("code", flat=True)[:_MOST_NAMED])
    except DatabaseError:
        return []  # Not migrated to the end yet.
    return [
        checks.Warning(
            f"Operators of the tenant {code} need neither a passkey nor an authenticator app.",
            hint="Set operators_need_own_factor in its session policy.",
            id="identity.W103",
        )
        for code in codes
    ]


@register(Tags.database)
def check_code_sign_in(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Name the tenants whose sign-in page offers a code by a channel over which they send nothing."""
    if "default" not in (databases or ()):
        return []
    found: list[CheckMessage] = []
    for channel, label in VerificationChannel.choices:
        offering = Tenant.objects.filter(is_active=True, **{f"session_policy__sign_in_by_{channel}": True})
        try:
            without = [
                tenant.code
                for tenant in offering.order_by("pk")[:_MOST_NAMED]
                if not has_route(tenant=tenant, channel=VerificationChannel(channel))
            ]
        except DatabaseError:
            return []  # Not migrated to the end yet.
        found += [
            checks.Warning(
                f"The tenant {code} lets people sign in by a code that no gateway carries: {label}.",
                hint=f"Add a gateway, or switch sign_in_by_{channel} off in its session policy.",
                id="identity.W104",
            )
            for code in without
        ]
    return found


@register(Tags.database)
def check_stored_values(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Name the rows that hold a bad value, by table, key and column; requests read something else in its place."""
    if "default" not in (databases or ()):
        return []
    found: list[CheckMessage] = []
    tables = set(connections["default"].introspection.table_names())
    for model in apps.get_models():
        if not issubclass(model, ReadSafely) or model._meta.db_table not in tables:
            continue
        try:
            with transaction.atomic():
                bad = list(islice(unusable_values(model), _MOST_NAMED))
        except DatabaseError:
            continue  # Not migrated to the end yet: a column is missing.
        found += [
            checks.Warning(
                f"{model._meta.db_table} {pk}: the stored {column} cannot be used, so another value is read.",
                hint="Open the row in the admin and save it, or name the column in the configuration file.",
                id="identity.W102",
            )
            for pk, column in bad
        ]
    return found


def _wrong_types(conf: IdentityConf) -> Iterator[CheckMessage]:
    hints = get_type_hints(IdentityConf)
    for field in fields(IdentityConf):
        value, hint = getattr(conf, field.name), hints[field.name]
        item_types = _ITEM_TYPES.get(hint)
        if item_types is not None:
            is_right = isinstance(value, (tuple, list)) and all(isinstance(item, item_types) for item in value)
        elif hint in _TYPES:
            is_right = isinstance(value, _TYPES[hint]) and (hint is bool or not isinstance(value, bool))
        else:
            continue  # A field of a richer type brings its own check.
        if not is_right:
            # The value is not shown: it may be a secret.
            yield Error(f'IDENTITY["{field.name}"] has a wrong type; it takes {_spell(hint)}.', id="identity.E002")


def _spell(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _out_of_range(conf: IdentityConf) -> Iterator[CheckMessage]:
    for name, (lowest, highest) in _RANGES.items():
        if not lowest <= getattr(conf, name) <= highest:
            yield Error(f'IDENTITY["{name}"] must be between {lowest} and {highest}.', id="identity.E003")
    if any(delay < timedelta(0) for delay in conf.delivery_retry_delays):
        yield Error('IDENTITY["delivery_retry_delays"] holds a negative delay.', id="identity.E003")
    if conf.outbound_ca_file and not Path(conf.outbound_ca_file).is_file():
        yield Error('IDENTITY["outbound_ca_file"] names no file.', id="identity.E003")
    if conf.breached_passwords and not _is_source(conf.breached_passwords):
        yield Error('IDENTITY["breached_passwords"] names no file and no http(s) URL.', id="identity.E003")


def _is_source(text: str) -> bool:
    return text.startswith(("https://", "http://")) or ("://" not in text and Path(text).is_file())


def _bad_secrets(conf: IdentityConf) -> Iterator[CheckMessage]:
    secrets = {
        "key_encryption_keys": conf.key_encryption_keys,
        "hash_peppers": conf.hash_peppers,
        "blind_index_key": (conf.blind_index_key,) if conf.blind_index_key else (),
    }
    for name, values in secrets.items():
        if not values:
            yield Error(
                f'IDENTITY["{name}"] is missing.',
                hint=f"Set {name.upper()} in the environment; see docs/operations.md.",
                id="identity.E004",
            )
    for key in conf.key_encryption_keys:
        if len(key) != _AES_KEY_BYTES:
            yield Error('A key of IDENTITY["key_encryption_keys"] is not 32 bytes.', id="identity.E005")
    for name in ("hash_peppers", "blind_index_key"):
        if any(len(value) < _MIN_SECRET_BYTES for value in secrets[name]):
            yield Error(f'A value of IDENTITY["{name}"] is shorter than 32 bytes.', id="identity.E005")
    every_value = [value for values in secrets.values() for value in values]
    if len(set(every_value)) != len(every_value):
        yield Error("One secret stands in two places; each use needs its own.", id="identity.E006")


def _contradictions(conf: IdentityConf) -> Iterator[CheckMessage]:
    attempt_seconds = max(conf.delivery_timeout_seconds, conf.outbound_total_timeout_seconds)
    if conf.delivery_lease.total_seconds() <= attempt_seconds:
        yield Error(
            "A delivery's lease ends before its attempt may, so it would be sent twice at once.",
            hint="Raise delivery_lease or lower the time-outs.",
            id="identity.E007",
        )
    if conf.delivery_max_attempts > 1 and not conf.delivery_retry_delays:
        yield Error("Deliveries are repeated but delivery_retry_delays is empty.", id="identity.E007")
    if any(later < earlier for earlier, later in pairwise(conf.delivery_retry_delays)):
        yield Error("delivery_retry_delays must not shrink.", id="identity.E007")
