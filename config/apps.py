"""Django's registration of the composition root, for its checks and its commands."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The server as a whole."""

    name = "config"
    label = "config"
    verbose_name = "Server"

    def ready(self) -> None:
        """Register the checks that concern the server as a whole."""
        from config import checks  # noqa: F401 - checks need the app registry
