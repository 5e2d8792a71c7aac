"""Django's registration of the oidc_provider app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OIDCProviderConfig(AppConfig):
    """OAuth 2.0 and OpenID Connect."""

    name = "oidc_provider"
    verbose_name = _("OpenID provider")

    def ready(self) -> None:
        """Register the system checks, the purger and both ways of telling of sign-outs; listen to news."""
        from identity.registry import register_chore, register_consent_source, register_purger
        from oidc_provider import (  # noqa: F401 - checks registers itself
            backchannel_logout,
            checks,
            client_keys,
            clients,
            config,
            consent,
            frontchannel_logout,
            grants,
            listeners,
        )

        for name, purger in grants.PURGERS.items():
            register_purger(name, purger)
        register_chore("client_keys", client_keys.fetch_due)
        register_consent_source("openid", consent.AccountConsents())
        clients.connect()
        config.connect()
        listeners.connect()
        backchannel_logout.connect()
        frontchannel_logout.connect()
