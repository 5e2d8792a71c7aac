"""Django's registration of the cas_saml app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CASSAMLConfig(AppConfig):
    """CAS and SAML."""

    name = "cas_saml"
    verbose_name = _("CAS and SAML")

    def ready(self) -> None:
        """Register the system checks, purgers and configuration sections, and listen to the ends of sessions."""
        from cas_saml import checks  # noqa: F401 - registers itself
        from cas_saml.cas import config, logout, services, tickets
        from cas_saml.saml import config as saml_config
        from cas_saml.saml import logout as saml_logout
        from cas_saml.saml import providers
        from identity.registry import register_purger

        register_purger("service_tickets", tickets.purge)
        config.connect()
        saml_config.connect()
        services.connect()
        providers.connect()
        logout.connect()
        saml_logout.connect()
