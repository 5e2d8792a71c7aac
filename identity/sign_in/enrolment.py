"""Second factors of a person: added, renamed and removed by the person, removed by an operator.

Whoever calls this has asked the person for a fresh proof. Each change is audited in its transaction and told by mail
after it. What a ceremony has made counts for one session or one sign-in under way, and once (S28, S29).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from identity import assurance, audit, authority, crypto, policies
from identity.authority import Change
from identity.context import RequestContext
from identity.errors import NotAllowed, NotFound, PasskeyRefused, StateInvalid, VerificationRefused
from identity.events import EventType
from identity.messaging import notices
from identity.models import (
    AuthenticatorApp,
    CeremonyPurpose,
    FactorCeremony,
    FactorKind,
    MFAMode,
    Passkey,
    RecoveryCode,
    SessionEndReason,
    SSOSession,
    TOTPAlgorithm,
    User,
)
from identity.retries import retried
from identity.sign_in import webauthn
from identity.sign_in.factors import aaguids, ceremonies, kinds, passkey, recovery_code, table, totp
from identity.sign_in.webauthn import NewCredential
from identity.sso import access, sessions, trusted_devices
from identity.texts import is_storable, trimmed

PER_KIND = 10  # of one person
MAX_NAME_LENGTH = 100

# What people give names to, in the order in which pages show it.
_MODELS: Mapping[FactorKind, type[AuthenticatorApp] | type[Passkey]] = MappingProxyType(
    {FactorKind.PASSKEY: Passkey, FactorKind.TOTP: AuthenticatorApp}
)


@dataclass(frozen=True)
class NewApp:
    """What an authenticator app is given to be added."""

    secret: str  # base32
    uri: str  # for the QR code


@dataclass(frozen=True)
class Added:
    """A factor that was added, and what adding it has shown."""

    factor: AuthenticatorApp | Passkey
    methods: Sequence[str]  # RFC8176-2


@dataclass(frozen=True)
class Enrolled:
    """One factor of a person, without anything secret."""

    kind: str
    public_id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


def list_of(user: User) -> list[Enrolled]:
    """Return the person's factors, the oldest of each kind first; `recovery_codes_left` counts recovery codes."""
    return [
        Enrolled(kind, row.public_id, row.name, row.created_at, row.last_used_at)
        for kind, model in _MODELS.items()
        if kind in kinds.of(user)
        for row in model._default_manager.filter(user=user).order_by("pk")
    ]


def passkeys_of(user: User) -> list[Passkey]:
    """Return the person's passkeys, the oldest first."""
    return list(Passkey.objects.filter(user=user).order_by("pk"))


def may_add(user: User) -> list[str]:
    """Return the kinds that the tenant lets the person add."""
    return [factor.name for factor in table.allowed(user) if factor.name in (*_MODELS, FactorKind.RECOVERY_CODE)]


@dataclass(frozen=True)
class Grace:
    """How long somebody may go on without a second factor: for so many sign-ins, or until a day."""

    sign_ins_left: int
    until: datetime | None


def grace_of(user: User) -> Grace | None:
    """Return what is left of the tenant's grace; None where a factor must be set up now.

    Never for operators who need one of their own, for whoever has a factor, nor after an operator's reset.
    """
    if user.factor_kinds or user.factor_required or access.needs_own_factor(user):
        return None
    policy, now = policies.session_policy(user.tenant), timezone.now()
    sign_ins_left = max(policy.factor_grace_sign_ins - user.factor_skips, 0)
    until = (user.factor_asked_at or now) + timedelta(days=policy.factor_grace_days)
    if not sign_ins_left and until <= now:
        return None
    return Grace(sign_ins_left, until if until > now else None)


def use_grace(user: User, *, context: RequestContext) -> None:
    """Note that the person went on without a factor once more. Raises StateInvalid where somebody was faster."""
    now = timezone.now()
    row = User.objects.filter(pk=user.pk, factor_skips=user.factor_skips)
    if not row.update(factor_skips=user.factor_skips + 1, factor_asked_at=user.factor_asked_at or now):
        raise StateInvalid(log_detail=f"user={user.pk} skipped at the same moment")
    audit.record(EventType.FACTOR_SKIP, tenant=user.tenant, actor=user, target=user, context=context)


def recovery_codes_left(user: User) -> int:
    """Return how many recovery codes are not spent."""
    return recovery_code.left(user) if FactorKind.RECOVERY_CODE in kinds.of(user) else 0


# Adding ----------------------------------------------------------------------------------------------------


def begin_totp(*, user: User, owner: str) -> NewApp:
    """Return the secret of the app that is being added: while it can be answered, the same one again."""
    made = ceremonies.ensure(_enrolling(CeremonyPurpose.ENROL_TOTP, user, owner), tenant=user.tenant, make=_new_secret)
    secret, algorithm = _made_for_app(made)
    issuer = " ".join(user.tenant.name.split()).replace(":", " ")
    return NewApp(secret, totp.uri(secret, algorithm=algorithm, issuer=issuer, account=user.user_name))


@retried
def finish_totp(
    *, user: User, owner: str, name: str, verification_code: str, context: RequestContext, after: Sequence[str] = ()
) -> Added:
    """Add the app whose code proves that it has the secret; that code is taken.

    after: what a sign-in has proved so far (RFC8176-2), in which somebody who has another factor adds none (S28).
    Raises StateInvalid, VerificationRefused, NotAllowed (MFA.0002), AuthorityRefused.
    """
    ceremony = _enrolling(CeremonyPurpose.ENROL_TOTP, user, owner)
    made = ceremonies.find(ceremony)
    if made is None:
        raise StateInvalid(log_detail=f"{owner} has no app under way")
    secret, algorithm = _made_for_app(made)
    now = timezone.now()
    step = totp.matching_step(secret, verification_code, algorithm=algorithm, now=now)
    if step is None:
        raise VerificationRefused(log_detail=f"{owner} wrong code of a new app")
    with transaction.atomic():
        row = _locked(user)
        _check_may_add(row, FactorKind.TOTP, after=after)
        if ceremonies.spend(ceremony) is None:
            raise StateInvalid(log_detail=f"{owner} has added this app before")
        app = _create_app(row, secret=secret, algorithm=algorithm, name=name, last_step=step, last_used_at=now)
        _note_added(row, kind=FactorKind.TOTP, factor=app, context=context)
    _follow(user, row)
    notices.send("factor_changed", user=user, context=context, event="added", factor=app.name)
    return Added(app, (assurance.ONE_TIME_CODE,))


@retried
def import_app(
    *, user: User, secret: str, algorithm: TOTPAlgorithm, name: str, context: RequestContext, actor: Any
) -> bool:
    """Add an app that another product has enrolled; return whether it is new here. secret: in base32.

    Raises AuthorityRefused, and NotAllowed (MFA.0002).
    """
    with transaction.atomic():
        row = _locked(user)
        authority.check(Change.FACTOR, user=row, actor=actor)
        present = [
            crypto.unseal(app.secret_sealed, purpose=totp.SECRET) for app in AuthenticatorApp.objects.filter(user=row)
        ]
        if secret in present:
            return False
        if len(present) >= PER_KIND:
            raise NotAllowed("MFA.0002", log_detail=f"user={row.pk}")
        app = _create_app(row, secret=secret, algorithm=algorithm, name=name)
        _note_added(row, kind=FactorKind.TOTP, factor=app, context=context, actor=actor)
    _follow(user, row)
    return True


def _create_app(row: User, *, secret: str, algorithm: TOTPAlgorithm, name: str, **used: Any) -> AuthenticatorApp:
    return AuthenticatorApp.objects.create(
        user=row,
        name=_name(name) or _("Authenticator app"),
        secret_sealed=crypto.seal(secret, purpose=totp.SECRET),
        algorithm=algorithm,
        **used,
    )


def begin_passkey(*, user: User, owner: str, context: RequestContext) -> dict[str, Any]:
    """Return PublicKeyCredentialCreationOptionsJSON for a passkey that is being added."""
    ceremony = _enrolling(CeremonyPurpose.ENROL_PASSKEY, user, owner)
    kept = json.loads(ceremonies.ensure(ceremony, tenant=user.tenant, make=lambda: passkey.new_challenge(context)))
    present = Passkey.objects.filter(user=user).order_by("pk")
    return {
        "rp": {"id": kept["rp_id"], "name": user.tenant.name},
        "user": {
            "id": webauthn.encode(user.public_id.encode()),
            "name": user.user_name,
            "displayName": user.name or user.user_name,
        },
        "challenge": kept["challenge"],
        "pubKeyCredParams": [{"type": "public-key", "alg": each} for each in webauthn.ALGORITHMS],
        "timeout": passkey.TIMEOUT_MS,
        "excludeCredentials": webauthn.descriptors([(row.credential_id, row.transports) for row in present]),
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": {"credProps": True},
    }


def finish_passkey(
    *, user: User, owner: str, name: str, credential: str, context: RequestContext, after: Sequence[str] = ()
) -> Added:
    """Add the passkey that has answered the challenge, which is spent, whatever comes of it.

    after: as in `finish_totp`. Raises StateInvalid, PasskeyRefused, NotAllowed (MFA.0002), AuthorityRefused.
    """
    answer = webauthn.read(credential)
    made = ceremonies.spend(_enrolling(CeremonyPurpose.ENROL_PASSKEY, user, owner))
    wanted = passkey.expected(made, context=context, needs_user_verification=False)
    new = webauthn.verify_registration(answer, expected=wanted)
    added = _add_passkey(user, new, name=name, context=context, after=after)
    notices.send("factor_changed", user=user, context=context, event="added", factor=added.name)
    shown = passkey.shown(is_backup_eligible=new.is_backup_eligible, is_user_verified=new.is_user_verified)
    return Added(added, shown)


@retried
def _add_passkey(
    user: User, new: NewCredential, *, name: str, context: RequestContext, after: Sequence[str]
) -> Passkey:
    with transaction.atomic():
        row = _locked(user)
        _check_may_add(row, FactorKind.PASSKEY, after=after)
        try:
            with transaction.atomic():
                added = Passkey.objects.create(
                    user=row,
                    name=_name(name) or aaguids.NAMES.get(new.aaguid) or _("Passkey"),
                    credential_id=new.credential_id,
                    public_key=new.public_key,
                    algorithm=new.algorithm,
                    sign_count=new.sign_count,
                    is_backup_eligible=new.is_backup_eligible,
                    is_backed_up=new.is_backed_up,
                    is_user_verified=new.is_user_verified,
                    is_discoverable=new.is_discoverable,
                    transports=new.transports,
                    aaguid=new.aaguid,
                    attestation_format=new.attestation_format,
                )
        except IntegrityError:
            # Step "credentialId is not registered for any user".
            raise PasskeyRefused("duplicate") from None
        _note_added(row, kind=FactorKind.PASSKEY, factor=added, context=context)
    _follow(user, row)
    return added


@retried
def make_recovery_codes(*, user: User, context: RequestContext) -> list[str]:
    """Make ten codes, the only copy of which is returned; earlier ones are void.

    Raises NotAllowed for somebody without another factor, in whose place the codes would be.
    """
    codes = [recovery_code.new_code() for _number in range(recovery_code.COUNT)]
    with transaction.atomic():
        row = _locked(user)
        authority.check(Change.FACTOR, user=row, actor=user)
        if not _own_kinds(row):
            raise NotAllowed("MFA.0001", log_detail=f"user={row.pk} has no factor to recover")
        if FactorKind.RECOVERY_CODE not in may_add(row):
            raise NotAllowed("MFA.0003", log_detail=f"user={row.pk} recovery codes")
        RecoveryCode.objects.filter(user=row).delete()
        trusted_devices.forget_all(row, context=context, actor=user)
        RecoveryCode.objects.bulk_create(
            [RecoveryCode(user=row, code_hash=recovery_code.hashes_of(code, user=row)[0]) for code in codes]
        )
        kinds.note(row)
        audit.record(
            EventType.RECOVERY_CODES,
            tenant=row.tenant,
            actor=user,
            target=row,
            context=context,
            details={"count": len(codes)},
        )
    _follow(user, row)
    notices.send("factor_changed", user=user, context=context, event="codes_made")
    return codes


def count_for_session(session: SSOSession, *, proved: Sequence[str], context: RequestContext) -> str:
    """Note that the session has proved the factor that it just added; return the session's new handle.

    Otherwise whoever adds one would be asked for it at once. Raises StateInvalid, AccountDisabled.
    """
    amr = [*session.amr, *(method for method in proved if method not in session.amr)]
    _renewed, handle = sessions.renew(session=session, amr=amr, context=context, is_step_up=True)
    return handle


# Changing --------------------------------------------------------------------------------------------------


@retried
def rename(*, user: User, public_id: str, name: str, context: RequestContext) -> None:
    """Give one of the person's own factors another name. Raises NotFound, for other people's too."""
    name = _name(name)
    with transaction.atomic():
        row = _locked(user)
        authority.check(Change.FACTOR, user=row, actor=user)
        kind, factor = _own(row, public_id)
        if not name or name == factor.name:
            return
        before, factor.name = factor.name, name
        factor.save(update_fields=["name"])
        audit.record(
            EventType.FACTOR_RENAME,
            tenant=row.tenant,
            actor=user,
            target=row,
            context=context,
            details={"kind": kind, "factor": public_id},
            personal={"name": [before, name]},
        )
    notices.send("factor_changed", user=user, context=context, event="renamed", factor=name)


@retried
def remove(*, user: User, public_id: str, context: RequestContext) -> None:
    """Take one of the person's own factors away; with the last one go the recovery codes.

    Raises NotFound, for other people's too, and NotAllowed (MFA.0001) where the tenant demands a factor and this is the
    last one.
    """
    with transaction.atomic():
        row = _locked(user)
        authority.check(Change.FACTOR, user=row, actor=user)
        kind, factor = _own(row, public_id)
        name = factor.name
        factor.delete()
        trusted_devices.forget_all(row, context=context, actor=user)
        kinds.note(row)
        if not _own_kinds(row):
            RecoveryCode.objects.filter(user=row).delete()
            kinds.note(row)
        mode = policies.session_policy(row.tenant).mfa_mode
        is_needed = mode in (MFAMode.ALWAYS, MFAMode.PHISHING_RESISTANT) or access.needs_own_factor(row)
        if is_needed and not _can_prove(row, mode):
            raise NotAllowed("MFA.0001", log_detail=f"user={row.pk}")
        audit.record(
            EventType.FACTOR_REMOVE,
            tenant=row.tenant,
            actor=user,
            target=row,
            context=context,
            details={"kind": kind, "factor": public_id},
            personal={"name": name},
        )
    _follow(user, row)
    notices.send("factor_changed", user=user, context=context, event="removed", factor=name)


@retried
def reset(*, user: User, context: RequestContext, actor: Any) -> None:
    """Remove every factor, as an operator does for somebody who has lost them; the next sign-in sets one up.

    Every session ends: one of them may be the finder's of a lost telephone. Raises AuthorityRefused (S46).
    """
    with transaction.atomic():
        row = _locked(user)
        authority.check(Change.FACTOR, user=row, actor=actor)
        had = row.factor_kinds
        for model in (AuthenticatorApp, Passkey, RecoveryCode, FactorCeremony):
            model.objects.filter(user=row).delete()
        trusted_devices.forget_all(row, context=context, actor=actor)
        User.objects.filter(pk=row.pk).update(factor_kinds="", factor_required=True, epoch=F("epoch") + 1)
        row.refresh_from_db(fields=["factor_kinds", "factor_required", "epoch"])
        reason = SessionEndReason.ENDED_BY_OPERATOR
        access.close_old_epochs(user=row, reason=reason, context=context, actor=actor)
        audit.record(
            EventType.FACTOR_RESET,
            tenant=row.tenant,
            actor=actor,
            target=row,
            context=context,
            changes={"factor_kinds": [had, ""]},
        )
    _follow(user, row)
    user.epoch = row.epoch
    notices.send("factor_changed", user=user, context=context, event="reset")


def _enrolling(purpose: CeremonyPurpose, user: User, owner: str) -> ceremonies.Key:
    return ceremonies.Key(purpose, owner, user)


def _new_secret() -> str:
    algorithm = TOTPAlgorithm.SHA1  # which every app knows; some read past the name of another one
    return json.dumps({"secret": totp.new_secret(algorithm), "algorithm": algorithm})


def _made_for_app(made: str) -> tuple[str, TOTPAlgorithm]:
    kept = json.loads(made)
    return kept["secret"], TOTPAlgorithm(kept["algorithm"])


def _locked(user: User) -> User:
    people = User.objects.select_related("tenant__session_policy")
    row: User = people.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
    return row


def _check_may_add(row: User, kind: FactorKind, *, after: Sequence[str]) -> None:
    authority.check(Change.FACTOR, user=row, actor=row)
    if kind not in may_add(row):
        raise NotAllowed("MFA.0003", log_detail=f"user={row.pk} {kind}")
    if after and table.has_unproved(row, amr=after):
        raise StateInvalid(log_detail=f"user={row.pk} has a second factor to be proved first")
    if _MODELS[kind]._default_manager.filter(user=row).count() >= PER_KIND:
        raise NotAllowed("MFA.0002", log_detail=f"user={row.pk}")


def _note_added(
    row: User, *, kind: FactorKind, factor: AuthenticatorApp | Passkey, context: RequestContext, actor: Any = None
) -> None:
    kinds.note(row)
    row.factor_required = False
    User.objects.filter(pk=row.pk).update(factor_required=False)
    trusted_devices.forget_all(row, context=context, actor=actor or row)
    audit.record(
        EventType.FACTOR_ADD,
        tenant=row.tenant,
        actor=actor or row,
        target=row,
        context=context,
        details={"kind": kind, "factor": factor.public_id},
        personal={"name": factor.name},
    )


def _own(row: User, public_id: str) -> tuple[FactorKind, AuthenticatorApp | Passkey]:
    for kind, model in _MODELS.items() if is_storable(public_id) else ():
        found = model._default_manager.filter(user=row, public_id=public_id).first()
        if found is not None:
            return kind, found
    raise NotFound(log_detail=f"user={row.pk} has no such factor")


def _can_prove(row: User, mode: str) -> bool:
    """Return whether what the person has left is enough for the tenant's rule."""
    if mode == MFAMode.PHISHING_RESISTANT:
        return FactorKind.PASSKEY in kinds.of(row)
    return any(each.is_enrolled(row) for each in table.allowed(row))


def _own_kinds(row: User) -> Sequence[str]:
    return [kind for kind in kinds.of(row) if kind != FactorKind.RECOVERY_CODE]


def _follow(user: User, row: User) -> None:
    """Bring the caller's copy up to what was written."""
    user.factor_kinds, user.factor_required = row.factor_kinds, row.factor_required


def _name(name: str) -> str:
    return trimmed(name.replace("\x00", ""))[:MAX_NAME_LENGTH]
