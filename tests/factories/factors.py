"""Second factors, enrolled through the service."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import time_machine
from django.utils import timezone

from identity import copies
from identity.context import RequestContext
from identity.models import AuthenticatorApp, SessionPolicy, User
from identity.sign_in import enrolment
from identity.sso import sessions, trusted_devices


def enrol(user: User, name: str = "Telephone") -> tuple[AuthenticatorApp, pyotp.TOTP]:
    """Give the person an app, an hour ago so that every code of now is fresh; return it with what makes its codes."""
    context, owner = RequestContext(tenant=user.tenant), f"test {user.pk}"
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        codes = pyotp.TOTP(enrolment.begin_totp(user=user, owner=owner).secret)
        added = enrolment.finish_totp(user=user, owner=owner, name=name, verification_code=codes.now(), context=context)
    return AuthenticatorApp.objects.get(pk=added.factor.pk), codes


def trust(user: User, *, binding: str) -> tuple[str, pyotp.TOTP]:
    """Have an app's code asked for, and left out in the browser of this binding.

    Return the handle for the browser's cookie, and what makes the codes.
    """
    SessionPolicy.objects.filter(tenant=user.tenant_id).update(mfa_mode="if_enrolled", trusted_device_days=30)
    copies.clear()
    user = User.objects.select_related("tenant").get(pk=user.pk)
    _app, codes = enrol(user)
    context = RequestContext(tenant=user.tenant)
    session, _handle = sessions.start(user=user, amr=["pwd", "otp"], context=context)
    made = trusted_devices.trust(session=session, binding=binding, context=context)
    assert made
    return made[0], codes
