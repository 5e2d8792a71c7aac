"""Second factors, enrolled through the service."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import time_machine
from django.utils import timezone

from identity.context import RequestContext
from identity.models import AuthenticatorApp, User
from identity.sign_in import enrolment


def enrol(user: User, name: str = "Telephone") -> tuple[AuthenticatorApp, pyotp.TOTP]:
    """Give the person an app, an hour ago so that every code of now is fresh; return it with what makes its codes."""
    context, owner = RequestContext(tenant=user.tenant), f"test {user.pk}"
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        codes = pyotp.TOTP(enrolment.begin_totp(user=user, owner=owner).secret)
        added = enrolment.finish_totp(user=user, owner=owner, name=name, verification_code=codes.now(), context=context)
    return AuthenticatorApp.objects.get(pk=added.factor.pk), codes
