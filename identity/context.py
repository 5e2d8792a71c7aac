"""Who asks, from where: what services may know of a request."""

from dataclasses import dataclass

from identity.models import Tenant


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What an app says of the device that it runs on. Hearsay: nothing is allowed because of it."""

    fingerprint: str
    os_version: str
    agent: str
    ip: str = ""  # the device's own word, "" where it says none; RequestContext.ip is where the request came from


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The facts of one request that rules and audit need. Services see this, never the request itself."""

    tenant: Tenant | None  # None outside any tenant: management commands, health checks
    ip: str = ""  # of the client, after trusted proxies only (S32)
    user_agent: str = ""  # cut to 300 characters
    request_id: str = ""  # ours, in the log and the audit
    given_request_id: str = ""  # what the caller or a proxy calls it: hearsay, kept beside ours
    language: str = "en"  # BCP 47, of the pages
    origin: str = ""  # scheme://host[:port] under which the request came in, checked against Tenant.domains
    actor: str = ""  # public id of the signed-in user who acts, when one does
    device: DeviceFacts | None = None  # of a native app; None for browsers and machines
    relay: str = ""  # client_id of a back end that has proved itself and speaks for many people


# Under this name the context stands in the environ of a request, too, for libraries that see nothing else of it. No
# header can write it: those are HTTP_….
META_KEY = "monban.context"

SYSTEM = RequestContext(tenant=None, user_agent="manage.py")
