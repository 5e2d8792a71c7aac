"""Which settings a process has: one rule for every entry point, so that one environment gives one set of secrets."""

import os

PRODUCTION, DEVELOPMENT = "config.settings.prod", "config.settings.dev"


def choose_settings(*, can_develop: bool = False) -> None:
    """Set DJANGO_SETTINGS_MODULE unless the environment names it.

    An environment with a SECRET_KEY is production's, at every entry point: settings of development would take the other
    secrets from var/secrets.env or derive them, and every stored hash would be void without a word. Without one there
    are no secrets to disagree about: can_develop, which is manage.py, goes on with the development settings, and a web
    server that was started by itself says what is missing.
    """
    has_secrets = any(os.environ.get(name) for name in ("SECRET_KEY", "SECRET_KEY_FILE"))
    chosen = DEVELOPMENT if can_develop and not has_secrets else PRODUCTION
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", chosen)
