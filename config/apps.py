"""Django's registration of the composition root, for its checks and its commands."""

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class ConfigConfig(AppConfig):
    """The server as a whole."""

    name = "config"
    label = "config"
    verbose_name = "Server"
    default = True

    def ready(self) -> None:
        """Register the checks that concern the server as a whole."""
        from config import checks  # noqa: F401 - checks need the app registry


class AdminConfig(SimpleAdminConfig):
    """Django's admin with our site in place of the default one."""

    default = False  # named in INSTALLED_APPS; the server's own is the default of this module
    default_site = "identity.admin.site.MonbanAdminSite"

    def ready(self) -> None:
        """Find the admin pages of every app."""
        super().ready()
        self.module.autodiscover()  # type: ignore[attr-defined, union-attr]
