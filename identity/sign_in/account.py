"""What signed-in people do to their own account."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from identity import assurance, audit, authority, throttle
from identity.authority import Change
from identity.context import RequestContext
from identity.directory import users
from identity.errors import CredentialsRefused, IdentityError
from identity.events import EventType
from identity.models import SSOSession, User, VerificationPurpose
from identity.passwords import breaches, credentials
from identity.passwords.turns import turn
from identity.sign_in import verification
from identity.sso import sessions


def change_password(
    *, session: SSOSession, old_password: str, new_password: str, context: RequestContext
) -> tuple[SSOSession, str]:
    """Change the password; every session ends, and this browser gets a new one with its handle (S27).

    The new session has the factors of the old one, whose person has just proved the password again.
    Raises AccountLocked, TooManyRequests, CredentialsRefused, PasswordRefused, ValueRequired.
    """
    user = session.user
    attempt = _change_counted(
        user=user, old_password=old_password, new_password=new_password, context=context, actor=user
    )
    throttle.succeed(attempt)
    others = [method for method in session.amr if method != assurance.PASSWORD]
    return sessions.start(user=user, amr=[assurance.PASSWORD, *others], context=context, kind=session.kind)


def change_password_of(
    *, user: User, old_password: str, new_password: str, context: RequestContext, actor: Any = None
) -> None:
    """Change a password for a system that asked the person for the old one; every session ends.

    Raises as `change_password`, and AuthorityRefused before the old password is looked at, so that no client tries
    passwords of operators here.
    """
    authority.check(Change.PASSWORD, user=user, actor=actor)
    throttle.succeed(
        _change_counted(user=user, old_password=old_password, new_password=new_password, context=context, actor=actor)
    )


def set_password_of(
    *,
    user: User,
    password: str,
    context: RequestContext,
    actor: Any,
    must_change: bool = False,
    may_be_disabled: bool = True,
) -> None:
    """Give a person a new password, as an administrator does; it lifts the lock that wrong tries have set.

    Whoever guessed until the account was locked does not know the new one. Raises as `credentials.set_password`.
    """
    # Not one transaction with the unlocking: the hashing in between is slow.
    authority.check(Change.PASSWORD, user=user, actor=actor)
    breaches.check(password, tenant=user.tenant, context=context, actor=actor, target=user)
    credentials.set_password(
        user=user,
        password=password,
        context=context,
        actor=actor,
        must_change=must_change,
        may_be_disabled=may_be_disabled,
    )
    throttle.unlock(user, context=context, actor=actor)


def _change_counted(
    *, user: User, old_password: str, new_password: str, context: RequestContext, actor: Any
) -> throttle.Attempt:
    attempt = None
    try:
        breaches.check(new_password, tenant=user.tenant, context=context, actor=actor, target=user)
        with turn():
            # A wrong old password is a guess like any other (S30).
            attempt = throttle.admit(tenant=user.tenant, user=user, name="", context=context)
            credentials.change_password(
                user=user, old_password=old_password, new_password=new_password, context=context
            )
    except IdentityError as error:
        if attempt is not None and not isinstance(error, CredentialsRefused):
            throttle.succeed(attempt)
        audit.record(
            EventType.PASSWORD_CHANGE,
            tenant=user.tenant,
            actor=actor,
            target=user,
            context=context,
            outcome="refused",
            reason=error.error_code,
        )
        raise
    return attempt


def send_email_code(*, user: User, context: RequestContext) -> verification.SentCode:
    """Send a code to the address that is to be verified. Raises TooManyRequests, SendFailed."""
    return verification.send(
        tenant=user.tenant,
        purpose=VerificationPurpose.VERIFY_EMAIL,
        target=verification.email_of(user),
        user=user,
        context=context,
    )


def verify_email(*, user: User, verification_code: str, context: RequestContext) -> None:
    """Note that the user has this mailbox: the only way for a person to a verified address (S25).

    Raises VerificationRefused, TooManyRequests.
    """
    try:
        _spend_email_code(user=user, verification_code=verification_code, context=context)
    except IdentityError as error:
        audit.record(
            EventType.VERIFICATION_CHECK,
            tenant=user.tenant,
            actor=user,
            target=user,
            context=context,
            outcome="refused",
            reason=error.error_code,
            details={"purpose": VerificationPurpose.VERIFY_EMAIL},
        )
        raise


def _spend_email_code(*, user: User, verification_code: str, context: RequestContext) -> None:
    throttle.count_source(tenant=user.tenant, context=context)
    proved = verification.prove(
        tenant=user.tenant,
        purpose=VerificationPurpose.VERIFY_EMAIL,
        target=verification.email_of(user),
        verification_code=verification_code,
        user=user,
    )
    with transaction.atomic():
        verification.spend(proved)
        users.mark_verified(user=user, attribute="email", context=context)
