"""Django's registration of the oidc_provider app."""

from django.apps import AppConfig


class OIDCProviderConfig(AppConfig):
    """OAuth 2.0 and OpenID Connect."""

    name = "oidc_provider"
    verbose_name = "OpenID provider"
