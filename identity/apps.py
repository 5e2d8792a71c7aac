"""Django's registration of the identity app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IdentityConfig(AppConfig):
    """People, organisations, applications and their sessions."""

    name = "identity"
    verbose_name = _("Directory and sign-in")

    def ready(self) -> None:
        """Register the system checks, the purgers and the sections of configuration files."""
        # All register themselves.
        from identity import checks, listening  # noqa: F401
        from identity.configuration import messages, upstreams  # noqa: F401
        from identity.upkeep import purgers  # noqa: F401

        listening.connect()
