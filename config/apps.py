"""Django's registration of the composition root, for its checks and its commands."""

from django.apps import AppConfig, apps
from django.contrib.admin.apps import SimpleAdminConfig
from django.db.models.signals import post_migrate


class ConfigConfig(AppConfig):
    """The server as a whole."""

    name = "config"
    label = "config"
    verbose_name = "Server"
    default = True

    def ready(self) -> None:
        """Register the checks that concern the server as a whole, and the operators' groups."""
        from config import checks  # noqa: F401 - checks need the app registry
        from identity.operator_groups import ensure_operator_groups

        # The last of our apps with rows, so that all permissions exist by then.
        post_migrate.connect(ensure_operator_groups, sender=apps.get_app_config("cas_saml"))


class AdminConfig(SimpleAdminConfig):
    """Django's admin with our site in place of the default one."""

    default = False  # named in INSTALLED_APPS; the server's own is the default of this module
    default_site = "config.admin_site.MonbanAdminSite"

    def ready(self) -> None:
        """Find the admin pages of every app."""
        super().ready()
        self.module.autodiscover()  # type: ignore[union-attr]
