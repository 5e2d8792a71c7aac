"""The WSGI entry point: what every web server process runs."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config.entry import choose_settings

choose_settings()

# RFC 8414-3.1 puts the path of an issuer behind this one.
_METADATA = "/.well-known/oauth-authorization-server"

_django = get_wsgi_application()

from config import lane  # noqa: E402 - models need the settings
from identity import listening  # noqa: E402 - models need the settings
from identity.keyring import secret_check  # noqa: E402

_answer = lane.before(_django)
listening.begin()
secret_check.prove_at_start()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Put right what servers leave to the application, and answer."""
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
        # RFC 9112-3.2: 400 where there is none. Django would make one up, but refuses an empty one.
        environ.setdefault("HTTP_HOST", "")
    if settings.FORCE_SCRIPT_NAME:
        environ["PATH_INFO"] = _below(settings.FORCE_SCRIPT_NAME, environ.get("PATH_INFO", ""))
    return _answer(environ, start_response)


def _below(prefix: str, path: str) -> str:
    """Take the path that we are deployed below off an address.

    Servers and proxies may have done so: probes and what is asked without it are answered as well.
    """
    for start, kept in ((prefix, ""), (_METADATA + prefix, _METADATA)):
        if path == start or path.startswith(f"{start}/"):
            return kept + path.removeprefix(start) or "/"
    return path
