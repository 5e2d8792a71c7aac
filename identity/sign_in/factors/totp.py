"""Codes that change with the time, from an app that shares a secret with us (RFC 6238)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyotp
from django.utils import timezone
from django.utils.translation import gettext as _

from identity import assurance, crypto
from identity.context import RequestContext
from identity.errors import VerificationRefused
from identity.models import AuthenticatorApp, FactorKind, LoginTransaction, TOTPAlgorithm, User
from identity.sign_in.factors.base import HeldCode, counted
from identity.sign_in.forms import VerificationCodeForm
from identity.texts import typed_code

STEP_SECONDS = 30
DIGITS = 6
SECRET_CHARACTERS = {TOTPAlgorithm.SHA1: 32, TOTPAlgorithm.SHA256: 52}  # base32: 160 and 260 bits (RFC4226-4, R6)

SECRET = crypto.column_purpose(AuthenticatorApp, "secret_sealed")
_DIGESTS = {TOTPAlgorithm.SHA1: hashlib.sha1, TOTPAlgorithm.SHA256: hashlib.sha256}


def new_secret(algorithm: TOTPAlgorithm) -> str:
    """Return a fresh secret, in base32."""
    return pyotp.random_base32(SECRET_CHARACTERS[algorithm])


def uri(secret: str, *, algorithm: TOTPAlgorithm, issuer: str, account: str) -> str:
    """Return what the app reads from a QR code (the otpauth form that authenticator apps share)."""
    return _codes(secret, algorithm).provisioning_uri(name=account, issuer_name=issuer)


def matching_step(secret: str, code: str, *, algorithm: TOTPAlgorithm, now: datetime) -> int | None:
    """Return the time step that the code belongs to: the present one, or one beside it (RFC6238-5.2).

    code: as typed; wide digits and spaces are fine. The time that this takes says nothing about the code.
    """
    typed, codes = typed_code(code), _codes(secret, algorithm)
    present = int(now.timestamp()) // STEP_SECONDS
    found = [
        step
        for step in (present - 1, present, present + 1)
        if crypto.constant_time_equal(codes.generate_otp(step), typed)
    ]
    return found[0] if found else None


def take(user: User, code: str) -> AuthenticatorApp:
    """Take a code of one of the person's apps, once. Raises VerificationRefused.

    RFC6238-5.2: each time step of an app counts once; of two who send it at the same moment the UPDATE lets one pass.
    """
    now = timezone.now()
    for app in AuthenticatorApp.objects.filter(user=user).order_by("pk"):
        secret = crypto.unseal(app.secret_sealed, purpose=SECRET)
        step = matching_step(secret, code, algorithm=TOTPAlgorithm(app.algorithm), now=now)
        if step is None:
            continue
        fresh = AuthenticatorApp.objects.filter(pk=app.pk, last_step__lt=step)
        if not fresh.update(last_step=step, last_used_at=now):
            raise VerificationRefused(log_detail=f"authenticator_app={app.pk} step={step} was taken before")
        return app
    raise VerificationRefused(log_detail=f"user={user.pk} has no app with this code")


class AuthenticatorCode(HeldCode):
    """Whoever holds the app reads the code."""

    name = FactorKind.TOTP
    amr = assurance.ONE_TIME_CODE
    form = VerificationCodeForm
    template = "identity/login_totp.html"

    def hint(self, user: User) -> str:
        """Return what it is called: an app has no address."""
        return _("your authenticator app")

    def choice(self, user: User) -> str:
        """Return what the button says that chooses it."""
        return _("Use your authenticator app instead")

    def check(
        self, row: LoginTransaction, response: Mapping[str, Any], *, user: User, context: RequestContext
    ) -> Sequence[str]:
        """Check the code and take its time step. A wrong one counts like a wrong password (S30)."""
        with counted(user, tenant=user.tenant, context=context):
            take(user, response["verification_code"])
        return (self.amr,)


def _codes(secret: str, algorithm: TOTPAlgorithm) -> pyotp.TOTP:
    return pyotp.TOTP(secret, digits=DIGITS, digest=_DIGESTS[algorithm], interval=STEP_SECONDS)
