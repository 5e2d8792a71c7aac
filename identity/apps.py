"""Django's registration of the identity app."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """People, organisations, applications and their sessions."""

    name = "identity"
    verbose_name = "Identity"

    def ready(self) -> None:
        """Register the system checks and the purgers."""
        from identity import checks, purgers  # noqa: F401 - both register themselves
