"""The ASGI entry point."""

from django.core.asgi import get_asgi_application

from config.entry import choose_settings

choose_settings()

application = get_asgi_application()

from identity import listening  # noqa: E402 - models need the settings
from identity.keyring import secret_check  # noqa: E402 - models need the settings

listening.begin()
secret_check.prove_at_start()
