"""Checks of the server as a whole, which no single app can make."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning

from config.local_secrets import GENERATED_PREFIX
from identity.conf import conf


@register(Tags.security, deploy=True)
def check_secret_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a SECRET_KEY that this machine generated for development."""
    if not str(settings.SECRET_KEY).startswith(GENERATED_PREFIX):
        return []
    return [
        Error(
            "SECRET_KEY was generated for development.",
            hint="Set SECRET_KEY, KEY_ENCRYPTION_KEYS, HASH_PEPPERS and BLIND_INDEX_KEY; see docs/operations.md.",
            id="config.E001",
        )
    ]


@register(Tags.security, deploy=True)
def check_proxy(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn when nothing stands in front that ends TLS and keeps slow clients away."""
    if conf.trusted_proxies:
        return []
    return [
        CheckWarning(
            "No proxy is trusted, so clients reach this server directly, without TLS and each on a connection of ours.",
            hint="Put a proxy in front that ends TLS and buffers requests, and name its address in TRUSTED_PROXIES; "
            "see docs/operations.md.",
            id="config.W102",
        )
    ]


@register(Tags.security, deploy=True)
def check_mail(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn when verification codes would be printed and not sent."""
    if not settings.EMAIL_BACKEND.endswith(".console.EmailBackend"):
        return []
    return [
        CheckWarning(
            "Mails are printed, not sent.",
            hint="Set EMAIL_URL, for example to smtp+tls://user:password@host:587.",
            id="config.W101",
        )
    ]
