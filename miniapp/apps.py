"""Django's registration of the miniapp app."""

from django.apps import AppConfig


class MiniappConfig(AppConfig):
    """Mini programs of a host application."""

    name = "miniapp"
    verbose_name = "Mini programs"
