"""Django's registration of the oidc_provider app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OIDCProviderConfig(AppConfig):
    """OAuth 2.0 and OpenID Connect."""

    name = "oidc_provider"
    verbose_name = _("OpenID provider")

    def ready(self) -> None:
        """Register the system checks and the purger, and listen to news of sessions, users and clients."""
        from identity.registry import register_consent_source, register_purger
        from oidc_provider import checks, clients, config, consent, grants, listeners  # noqa: F401

        register_purger("oidc_provider", grants.purge)
        register_consent_source("openid", consent.AccountConsents())
        clients.connect()
        config.connect()
        listeners.connect()
