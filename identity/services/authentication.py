"""Check one factor: a password or a verification code. Who it is comes first, and costs the same for nobody.

Every check counts its try before it looks (S30, S31), and unknown, wrong and disabled cost the same work (S33).
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from identity import crypto
from identity.context import RequestContext
from identity.errors import AccountDisabled, CredentialsRefused
from identity.models import Tenant, User, VerificationPurpose
from identity.models.users import make_email_key, make_mobile_key, make_user_key
from identity.services import credentials, throttle, verification

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
    identifier = identifier.encode(errors="replace").decode().strip()
    name = make_user_key(identifier)
    if not name or len(name) > MAX_IDENTIFIER_LENGTH or "\x00" in name:
        return Resolved(name=name, user=None)
    email_key = make_email_key(name)
    mobile_index = User.mobile.index(identifier, tenant_id=tenant.pk)
    names = Q(user_key=name) | Q(email_key=email_key) | Q(mobile_index=mobile_index)
    found = list(User.objects.present().filter(names, tenant=tenant))
    for user in found:
        user.tenant = tenant
    by_preference = (
        [user for user in found if user.user_key == name],
        [user for user in found if user.email_key == email_key],
        [user for user in found if user.mobile_index == mobile_index],
    )
    return Resolved(name=name, user=next((users[0] for users in by_preference if users), None))


def resolve_mobile(mobile: str, *, tenant: Tenant) -> Resolved:
    """Find the person who has this mobile number. One query, whether anybody has it or not."""
    name = make_mobile_key(mobile)
    index = User.mobile.index(mobile, tenant_id=tenant.pk)
    user = User.objects.present().filter(tenant=tenant, mobile_index=index).first() if index else None
    if user is not None:
        user.tenant = tenant
    return Resolved(name=name, user=user)


def check_password_login(*, tenant: Tenant, identifier: str, password: str, context: RequestContext) -> User:
    """Return the person that name and password prove.

    Raises AccountLocked or TooManyRequests before anything is compared, CredentialsRefused for an unknown name and
    for a wrong password, and AccountDisabled only after the right password (decision 24).
    """
    resolved = resolve(identifier, tenant=tenant)
    attempt = throttle.admit(tenant=tenant, user=resolved.user, name=resolved.name, context=context)
    user = resolved.user
    if not credentials.check_password(user=user, password=password) or user is None:
        raise CredentialsRefused(None, attempt.remaining, log_detail=f"user={user.pk if user else None}")
    if not user.is_usable:
        # Not taken back: to whoever tries, a disabled account behaves like a wrong password.
        raise AccountDisabled(log_detail=f"user={user.pk}")
    throttle.succeed(attempt)
    return user


def check_password_of(user: User, *, password: str, context: RequestContext) -> None:
    """Check the password of somebody already known, who does something sensitive.

    Raises AccountLocked, TooManyRequests or CredentialsRefused.
    """
    attempt = throttle.admit(tenant=user.tenant, user=user, name="", context=context)
    if not credentials.check_password(user=user, password=password):
        raise CredentialsRefused(None, attempt.remaining, log_detail=f"user={user.pk}")
    throttle.succeed(attempt)


def check_code(
    user: User,
    *,
    purpose: VerificationPurpose,
    target: verification.Target,
    verification_code: str,
    context: RequestContext,
) -> verification.Proved:
    """Check a code that was sent to somebody already known; the caller spends what this returns.

    Counts on the same row as passwords do (S30). Raises AccountLocked, TooManyRequests or VerificationRefused.
    """
    attempt = throttle.admit(tenant=user.tenant, user=user, name="", context=context)
    proved = verification.prove(
        tenant=user.tenant, purpose=purpose, target=target, verification_code=verification_code, user=user
    )
    throttle.succeed(attempt)
    return proved


def unknown_name_hash(name: str, *, tenant: Tenant) -> str:
    """Return what the audit keeps of a name that nobody has: people type passwords into the wrong field."""
    return crypto.keyed_hash(f"{tenant.pk}:{name}", purpose=_UNKNOWN_NAME)[:16]
