"""Django's registration of the sdk_api app."""

from django.apps import AppConfig


class SDKAPIConfig(AppConfig):
    """Sign-in for native apps."""

    name = "sdk_api"
    verbose_name = "SDK API"
