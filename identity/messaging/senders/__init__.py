"""How a verification code leaves the house.

Owns the gateways of each channel and the texts of the mails. Entry points: `base.senders_for`, `base.Message`.
Must not know what a code allows, nor who asks for it.
"""

from identity.messaging.senders import aliyun, console, hook, mail, smtp
from identity.messaging.senders.base import GatewayKind

# Every kind of gateway that a tenant can set up.
KINDS: dict[str, GatewayKind] = {
    kind.name: kind for kind in (aliyun.KIND, hook.KIND, smtp.KIND, mail.KIND, console.KIND)
}
