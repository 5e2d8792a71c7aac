"""Codes to telephones that anybody may order who has solved a captcha, for whatever number.

Whether somebody has the number is not told: the code is sent to every number alike, and what there is to tell is told
to whoever proves it (S33, decision 24).
"""

from __future__ import annotations

from identity import audit
from identity.context import RequestContext
from identity.errors import IdentityError, NotAllowed
from identity.events import EventType
from identity.models import AuditOutcome, Tenant, VerificationPurpose
from identity.sign_in import authentication, captcha, registration, verification


def order(
    *,
    tenant: Tenant,
    purpose: VerificationPurpose,
    mobile: str,
    captcha_token: str,
    binding: str,
    context: RequestContext,
) -> None:
    """Send a code for this purpose to this number; spends the captcha_token, whatever comes of it.

    binding: as in `captcha.draw`. Raises NotAllowed (CAPTCHA.0005) where the tenant has the purpose switched off,
    VerificationRefused (CAPTCHA.0003, CAPTCHA.0004), TooManyRequests, ValueInvalid (USER.0038), SendFailed.
    """
    try:
        if purpose == VerificationPurpose.REGISTER and not registration.is_offered(tenant):
            raise NotAllowed("CAPTCHA.0005", log_detail="registration is switched off")
        captcha.spend(tenant=tenant, captcha_token=captcha_token, sender=mobile, binding=binding)
        verification.send(
            tenant=tenant,
            purpose=purpose,
            target=verification.mobile_target(mobile, tenant=tenant),
            user=authentication.resolve_mobile(mobile, tenant=tenant).user,
            context=context,
            is_ordered_freely=True,
        )
    except IdentityError as error:
        audit.record(
            EventType.VERIFICATION_SEND,
            tenant=tenant,
            context=context,
            outcome=AuditOutcome.REFUSED,
            reason=error.error_code,
            details={"purpose": purpose},
        )
        raise
