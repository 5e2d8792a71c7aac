"""Check one factor: a password or a verification code.

The user is resolved first, at the same cost whether or not one exists. Every check counts its try before it
looks (S30, S31), and unknown, wrong and disabled cost the same work (S33).
"""

from __future__ import annotations

from dataclasses import dataclass

from identity import audit, authority, crypto, throttle
from identity.context import RequestContext
from identity.errors import AccountDisabled, CredentialsRefused, NotFound
from identity.events import EventType
from identity.lookups import equals
from identity.messaging import phone
from identity.models import Tenant, User, VerificationPurpose
from identity.models.users import make_email_key, make_user_key
from identity.passwords import credentials
from identity.passwords.turns import turn
from identity.sign_in import verification
from identity.statements import Select
from identity.texts import without_invisible

MAX_IDENTIFIER_LENGTH = 254

_UNKNOWN_NAME = "login.unknown_name"


@dataclass(frozen=True)
class Resolved:
    """Whom an identifier names: at most one person of the tenant."""

    name: str  # as compared
    user: User | None


def resolve(identifier: str, *, tenant: Tenant) -> Resolved:
    """Find the person that an identifier names: by user name, else by e-mail address, else by mobile number.

    A user name wins over other people's addresses, so that writing somebody's user name into one's own profile gains
    nothing. One query, whoever it is.
    """
    # Half characters, which JSON can carry, are nobody's name, and no hash could take them.
    identifier = without_invisible(identifier.encode(errors="replace").decode()).strip()
    name = make_user_key(identifier)
    if not name or len(name) > MAX_IDENTIFIER_LENGTH or "\x00" in name:
        return Resolved(name=name, user=None)
    email_key = make_email_key(identifier)
    mobile_index = phone.mobile_index(identifier, tenant=tenant)
    found = _BY_NAMES.all(name, email_key, mobile_index, tenant.pk)
    for user in found:
        user.tenant = tenant
    by_preference = (
        [user for user in found if user.user_key == name],
        [user for user in found if user.email_key == email_key],
        [user for user in found if user.mobile_index == mobile_index],
    )
    return Resolved(name=name, user=next((users[0] for users in by_preference if users), None))


def resolve_mobile(mobile: str, *, tenant: Tenant) -> Resolved:
    """Find the person who has this mobile number, however it is spelled. One query, whether anybody has it or not."""
    user = _BY_MOBILE.first(phone.mobile_index(mobile, tenant=tenant), tenant.pk)
    if user is not None:
        user.tenant = tenant
    # A number that nobody has is counted in one spelling too (S31).
    return Resolved(name=phone.canonical_number(mobile, tenant=tenant), user=user)


def resolve_email(email: str, *, tenant: Tenant) -> Resolved:
    """Find the person who has this e-mail address. One query, whether anybody has it or not."""
    key = make_email_key(email)
    user = _BY_EMAIL.first(key, tenant.pk)
    if user is not None:
        user.tenant = tenant
    return Resolved(name=key, user=user)


_BY_NAMES = Select(
    lambda name, email_key, mobile_index, tenant: User.objects.present().filter(
        equals("user_key", name) | equals("email_key", email_key) | equals("mobile_index", mobile_index), tenant=tenant
    )
)
_BY_MOBILE = Select(
    lambda mobile_index, tenant: User.objects.present().filter(equals("mobile_index", mobile_index), tenant=tenant)[:1]
)

_BY_EMAIL = Select(
    lambda email_key, tenant: User.objects.present().filter(equals("email_key", email_key), tenant=tenant)[:1]
)


def check_password_login(
    *,
    tenant: Tenant,
    identifier: str,
    password: str,
    context: RequestContext,
    event: EventType | None = None,
) -> User:
    """Return the person that name and password prove.

    event: recorded with the success. A refusal is the caller's to record.
    Raises SystemBusy before anything is counted, AccountLocked or TooManyRequests before anything is compared,
    CredentialsRefused for an unknown name and for a wrong password, and AccountDisabled only after the right password
    (decision 24).
    """
    resolved = resolve(identifier, tenant=tenant)
    user = resolved.user
    with turn():
        attempt = throttle.admit(tenant=tenant, user=user, name=resolved.name, context=context)
        is_right = credentials.check_password(user=user, password=password)
    if not is_right or user is None:
        remaining = throttle.remaining_of_name(attempt, name=resolved.name)
        raise CredentialsRefused(None, remaining, log_detail=f"user={user.pk if user else None}")
    if not user.is_usable:
        # Not taken back: to whoever tries, a disabled account behaves like a wrong password.
        raise AccountDisabled(log_detail=f"user={user.pk}")
    told = [] if event is None else [audit.describe(event, tenant=tenant, actor=user, target=user, context=context)]
    throttle.succeed(attempt, *told)
    return user


def check_password_of(user: User, *, password: str, context: RequestContext) -> None:
    """Check the password of somebody already known, who does something sensitive.

    Raises SystemBusy, AccountLocked, TooManyRequests or CredentialsRefused.
    """
    with turn():
        attempt = throttle.admit(tenant=user.tenant, user=user, name="", context=context)
        is_right = credentials.check_password(user=user, password=password)
    if not is_right:
        raise CredentialsRefused(None, attempt.remaining, log_detail=f"user={user.pk}")
    throttle.succeed(attempt)


def check_code(
    user: User,
    *,
    purpose: VerificationPurpose,
    target: verification.Target,
    verification_code: str,
    context: RequestContext,
    bound_to: str = "",
) -> verification.Proved:
    """Check a second factor, a code that was sent to somebody already known; the caller spends what this returns.

    bound_to: as in `verification.send`.
    Counts on the same row as passwords do (S30). Raises AccountLocked, TooManyRequests or VerificationRefused.
    """
    attempt = throttle.admit(tenant=user.tenant, user=user, name="", context=context)
    proved = verification.prove(
        tenant=user.tenant,
        purpose=purpose,
        target=target,
        verification_code=verification_code,
        user=user,
        bound_to=bound_to,
    )
    throttle.succeed(attempt, is_whole=True)
    return proved


def check_mobile_code(
    *, tenant: Tenant, purpose: VerificationPurpose, mobile: str, verification_code: str, context: RequestContext
) -> tuple[User, verification.Proved]:
    """Check a code that was sent to whoever has this number; the caller spends what this returns.

    The number need not be verified: an operator says whose it is, and the code proves that the caller has it.
    Raises AccountLocked, TooManyRequests or VerificationRefused; what there is to tell of the person only after the
    code was proved, which that spends (decision 24): NotFound (USER.0001) or AccountDisabled.
    """
    resolved = resolve_mobile(mobile, tenant=tenant)
    attempt = throttle.admit(tenant=tenant, user=resolved.user, name=resolved.name, context=context)
    target = verification.mobile_target(mobile, tenant=tenant)
    proved = verification.prove(tenant=tenant, purpose=purpose, target=target, verification_code=verification_code)
    throttle.succeed(attempt)
    return check_holder(resolved.user, proved=proved), proved


def check_holder(user: User | None, *, proved: verification.Proved) -> User:
    """Return the person whose number was proved, where the number alone proves a person.

    Raises NotFound (USER.0001) or AccountDisabled, and spends the code.
    """
    if user is None or not authority.is_proved_by_message(user):
        verification.spend(proved)
        raise NotFound("USER.0001", log_detail="no user has this mobile")
    if not user.is_usable:
        verification.spend(proved)
        raise AccountDisabled(log_detail=f"user={user.pk}")
    return user


def unknown_name_hash(name: str, *, tenant: Tenant) -> str:
    """Return what the audit keeps of a name that nobody has: people type passwords into the wrong field."""
    return crypto.keyed_hash(f"{tenant.pk}:{name}", purpose=_UNKNOWN_NAME)[:16]
