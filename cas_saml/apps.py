"""Django's registration of the cas_saml app."""

from django.apps import AppConfig


class CASSAMLConfig(AppConfig):
    """CAS and SAML."""

    name = "cas_saml"
    verbose_name = "CAS and SAML"
