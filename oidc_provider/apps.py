"""Django's registration of the oidc_provider app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OIDCProviderConfig(AppConfig):
    """OAuth 2.0 and OpenID Connect."""

    name = "oidc_provider"
    verbose_name = _("OpenID provider")

    def ready(self) -> None:
        """Register the system checks, the purger and both ways of telling of sign-outs; listen to news."""
        from django.contrib import admin

        from identity.registry import register_chore, register_consent_source, register_purger
        from oidc_provider import checks, configuration  # noqa: F401 - checks registers itself
        from oidc_provider.authorization import consent
        from oidc_provider.clients import cached, keys
        from oidc_provider.grants import rows
        from oidc_provider.logout import back_channel, front_channel, listeners
        from oidc_provider.models import IDToken

        for name, purger in rows.PURGERS.items():
            register_purger(name, purger)
        register_chore("client_keys", keys.fetch_due)
        register_consent_source("openid", consent.AccountConsents())
        cached.connect()
        configuration.connect()
        listeners.connect()
        back_channel.connect()
        front_channel.connect()
        # The toolkit registered a page while the admin was discovered. ID tokens are signed, not stored.
        admin.site.unregister(IDToken)
