"""Passkeys (WebAuthn): a key that signs for one origin only, so that no other site can ask for its answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.translation import gettext as _

from identity import assurance, audit, origins, policies
from identity.context import RequestContext
from identity.errors import AccountDisabled, PasskeyRefused
from identity.events import EventType
from identity.models import CeremonyPurpose, FactorKind, LoginTransaction, Passkey, SessionKind, Tenant, User
from identity.sign_in import webauthn
from identity.sign_in.factors import ceremonies
from identity.sign_in.factors.base import Begun, EnrolledFactor, counted
from identity.sign_in.forms import PasskeyForm
from identity.sign_in.webauthn import Answer, Expected, RelyingParty, StoredCredential
from identity.texts import is_storable

TIMEOUT_MS = 300_000  # as long as a challenge is good


def new_challenge(context: RequestContext) -> str:
    """Return what a ceremony keeps: a fresh challenge, and the RP ID that it was made under."""
    challenge = webauthn.encode(secrets.token_bytes(32))
    return json.dumps({"challenge": challenge, "rp_id": rp_id(context)})


def rp_id(context: RequestContext) -> str:
    """Return the host name that the tenant's passkeys belong to: that of its issuer."""
    return urlsplit(origins.origin(context)).hostname or ""


def expected(made: str | None, *, context: RequestContext, needs_user_verification: bool) -> Expected:
    """Return what an answer to a ceremony must say. Raises PasskeyRefused where none is open (any more)."""
    if made is None:
        raise PasskeyRefused("challenge", log_detail="none is open")
    kept = json.loads(made)
    party = RelyingParty(kept["rp_id"], origins.all_origins(context))
    return Expected(party, kept["challenge"], needs_user_verification)


def request_options(made: str, *, passkeys: Sequence[Passkey], user_verification: str) -> dict[str, Any]:
    """Return PublicKeyCredentialRequestOptionsJSON.

    passkeys: one of these; without any the browser offers what it has.
    """
    kept = json.loads(made)
    return {
        "challenge": kept["challenge"],
        "rpId": kept["rp_id"],
        "timeout": TIMEOUT_MS,
        "userVerification": user_verification,
        "allowCredentials": webauthn.descriptors([(row.credential_id, row.transports) for row in passkeys]),
    }


class PasskeyAnswer(EnrolledFactor):
    """Whoever holds the device presses its button."""

    name = FactorKind.PASSKEY
    amr = assurance.SOFTWARE_KEY  # or that of a hardware key, which shows as much
    channels = frozenset({SessionKind.BROWSER})
    form = PasskeyForm
    template = "identity/login_passkey.html"

    def hint(self, user: User) -> str:
        """Return what it is called."""
        return _("your passkey")

    def choice(self, user: User) -> str:
        """Return what the button says that chooses it."""
        return _("Use your passkey instead")

    def shows(self, amr: Sequence[str]) -> Sequence[str]:
        """Return a key, and who holds it where a key alone is no second factor: after a code, which is a thing too."""
        needs_person = not assurance.satisfies(assurance.acr_of([*amr, self.amr]), assurance.MULTI_FACTOR)
        return (self.amr, assurance.USER_VERIFIED) if needs_person else (self.amr,)

    def begin(self, row: LoginTransaction, *, user: User, context: RequestContext) -> Begun:
        """Make a challenge for this sign-in."""
        made = ceremonies.ensure(_key(row, user), tenant=row.tenant, make=lambda: new_challenge(context))
        return self._begun(made, user, row)

    def find_begun(self, row: LoginTransaction, *, user: User) -> Begun | None:
        """Return the options of the challenge that is open for this very sign-in."""
        made = ceremonies.find(_key(row, user))
        return self._begun(made, user, row) if made is not None else None

    def check(
        self, row: LoginTransaction, response: Mapping[str, Any], *, user: User, context: RequestContext
    ) -> Sequence[str]:
        """Check the answer. A wrong one counts like a wrong password (S30), and spends the challenge."""
        with counted(user, tenant=user.tenant, context=context):
            answer = webauthn.read(response["credential"])
            needs_person = assurance.USER_VERIFIED in self.shows(row.amr)
            made = ceremonies.spend(_key(row, user))
            wanted = expected(made, context=context, needs_user_verification=needs_person)
            return take(_passkey_of(user, answer), answer, expected=wanted, context=context)

    def _begun(self, made: str, user: User, row: LoginTransaction) -> Begun:
        passkeys = list(Passkey.objects.filter(user=user).order_by("pk"))
        wish = "required" if assurance.USER_VERIFIED in self.shows(row.amr) else "preferred"
        options = request_options(made, passkeys=passkeys, user_verification=wish)
        return Begun(data={"options": json.dumps(options)})


def is_allowed(tenant: Tenant) -> bool:
    """Return whether the tenant's people may sign in by passkeys."""
    return policies.allows_factor(tenant, FactorKind.PASSKEY)


def sign_in_options(row: LoginTransaction, *, context: RequestContext) -> dict[str, Any]:
    """Return options by which a browser signs in whoever it has a passkey of, without a name."""
    made = ceremonies.ensure(_key(row, None), tenant=row.tenant, make=lambda: new_challenge(context))
    return request_options(made, passkeys=[], user_verification="required")


def sign_in(row: LoginTransaction, credential: str, *, context: RequestContext) -> tuple[User, Sequence[str]]:
    """Return whom an answer without a name proves, and the methods that it shows: two factors, or it is refused.

    Counts on the person whom the answer names, as a wrong password counts on the person whom the name names (S30).
    Raises AccountLocked, TooManyRequests, PasskeyRefused, and AccountDisabled after the proof (decision 24).
    """
    if not is_allowed(row.tenant):
        raise PasskeyRefused("not_allowed")
    answer = webauthn.read(credential)
    handle = answer.user_handle
    if not handle or not is_storable(handle):
        raise PasskeyRefused("user_handle")
    user = User.objects.present().filter(tenant=row.tenant, public_id=handle).first()
    if user is not None:
        user.tenant = row.tenant
    with counted(user, tenant=row.tenant, name=handle[:64], context=context):
        wanted = expected(ceremonies.spend(_key(row, None)), context=context, needs_user_verification=True)
        if user is None:
            raise PasskeyRefused("unknown_credential")
        methods = take(_passkey_of(user, answer), answer, expected=wanted, context=context)
        if not user.is_usable:
            raise AccountDisabled(log_detail=f"user={user.pk}")
    return user, methods


def take(row: Passkey, answer: Answer, *, expected: Expected, context: RequestContext) -> Sequence[str]:
    """Check an answer of one passkey, take note of it, and return what it shows (RFC8176-2).

    A counter that went back is a sign that the key was copied: audited, and refused of keys that are never copied.
    """
    stored = StoredCredential(row.public_key, row.algorithm, row.sign_count, row.is_backup_eligible)
    assertion = webauthn.verify_assertion(answer, stored=stored, expected=expected)
    if assertion.is_counter_back:
        audit.record(
            EventType.FACTOR_COUNTER,
            tenant=row.user.tenant,
            target=row.user,
            context=context,
            outcome="success" if row.is_backup_eligible else "refused",
            details={"factor": row.public_id, "stored": row.sign_count, "received": assertion.sign_count},
        )
        if not row.is_backup_eligible:
            raise PasskeyRefused("counter", log_detail=f"passkey={row.pk}")
    Passkey.objects.filter(pk=row.pk).update(
        sign_count=assertion.sign_count, is_backed_up=assertion.is_backed_up, last_used_at=timezone.now()
    )
    return shown(is_backup_eligible=row.is_backup_eligible, is_user_verified=assertion.is_user_verified)


def shown(*, is_backup_eligible: bool, is_user_verified: bool) -> Sequence[str]:
    """Return what the answer of such a passkey shows (RFC8176-2)."""
    key = assurance.SOFTWARE_KEY if is_backup_eligible else assurance.HARDWARE_KEY
    return (key, assurance.USER_VERIFIED) if is_user_verified else (key,)


def _key(row: LoginTransaction, user: User | None) -> ceremonies.Key:
    purpose = CeremonyPurpose.PASSKEY_FACTOR if user is not None else CeremonyPurpose.PASSKEY_SIGN_IN
    return ceremonies.Key(purpose, ceremonies.owner_of(row), user)


def _passkey_of(user: User, answer: Answer) -> Passkey:
    """Return the person's own passkey that the answer names, whoever else may have one of this id."""
    if answer.user_handle not in ("", user.public_id):
        raise PasskeyRefused("user_handle")
    row = Passkey.objects.filter(user=user, credential_id=answer.credential_id).first()
    if row is None:
        raise PasskeyRefused("unknown_credential")
    row.user = user
    return row
