"""Django's registration of the tenant_api app."""

from django.apps import AppConfig


class TenantAPIConfig(AppConfig):
    """The directory, for a tenant's own systems."""

    name = "tenant_api"
    verbose_name = "Tenant API"

    def ready(self) -> None:
        """Register the system checks, and tell the schema generator how callers authenticate."""
        from tenant_api import checks, schema  # noqa: F401
