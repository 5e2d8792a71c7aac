"""Every kind of gateway that a tenant can set up."""

from __future__ import annotations

from identity.messaging.senders import aliyun, console, hook, mail, smtp
from identity.messaging.senders.base import GatewayKind

KINDS: dict[str, GatewayKind] = {
    kind.name: kind for kind in (aliyun.KIND, hook.KIND, smtp.KIND, mail.KIND, console.KIND)
}
