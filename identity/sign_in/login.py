"""The steps of signing in over LoginTransaction: browser pages and the SDK API drive the same ones.

    START --password--> MFA_AUTH --code-----------> PASSWORD_EXPIRED --new password--> SUCCESS
                        FACTOR_ENROL --first code-> PASSWORD_WARN --new password or skip--> SUCCESS

Order of checks: lock, credentials, disabled, and then what `machine.advance` asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from identity import assurance, audit, throttle
from identity.context import RequestContext
from identity.directory import users
from identity.errors import (
    AccessDenied,
    AccountDisabled,
    AlreadyExists,
    CredentialsRefused,
    IdentityError,
    PasswordRefused,
    StateInvalid,
)
from identity.events import EventType
from identity.messaging import notices
from identity.models import (
    FactorKind,
    LoginState,
    LoginTransaction,
    SessionKind,
    SignInMethod,
    User,
    VerificationPurpose,
)
from identity.passwords import breaches, credentials
from identity.passwords.turns import turn
from identity.sign_in import authentication, enrolment, machine, registration, verification
from identity.sign_in.factors import ceremonies, passkey, table
from identity.sign_in.factors.base import Begun, Factor, remember
from identity.sign_in.machine import (
    LoginOutcome,
    SignInStep,
    begin,
    begin_again,
    check_offered,
    find,
    finish_with,
    is_done_by,
    purge_expired,
)
from identity.sso import access, trusted_devices

_TRUST = "trust_browser"  # in a sign-in's data: the person wishes not to be asked in this browser

__all__ = [
    "LoginOutcome",
    "SignInStep",
    "begin",
    "begin_again",
    "begin_second_factor",
    "begun_second_factor",
    "change_expired_password",
    "check_offered",
    "choose_account",
    "choose_second_factor",
    "enrollable",
    "find",
    "finish_with",
    "grace_of",
    "is_done_by",
    "mobile_of_second_factor",
    "other_second_factors",
    "purge_expired",
    "second_factor",
    "second_factors",
    "skip_enrolment",
    "skip_password_warning",
    "start_over",
    "submit_enrolment",
    "submit_mobile_code",
    "submit_passkey",
    "submit_password",
    "submit_registration",
    "submit_second_factor",
    "trust_browser",
    "trust_offered",
]


def submit_password(step: SignInStep, *, identifier: str, password: str) -> LoginOutcome:
    """Take name and password.

    The session that the browser has already is renewed, or ended if somebody else signs in.
    Raises StateInvalid, NotAllowed (MFA.0004) where the tenant's sign-in page takes no passwords, TooManyRequests,
    AccountLocked, CredentialsRefused, AccountDisabled.
    """
    row = machine.get(step, state=LoginState.START)
    try:
        if row.channel == SessionKind.BROWSER:
            check_offered(row, SignInMethod.PASSWORD)
        user = authentication.check_password_login(
            tenant=row.tenant,
            identifier=identifier,
            password=password,
            context=step.context,
            event=EventType.LOGIN_PASSWORD,
        )
    except IdentityError as error:
        machine.record_refusal(
            EventType.LOGIN_PASSWORD, row=row, error=error, identifier=identifier, context=step.context
        )
        raise
    row.user = user
    return machine.advance(row, step, proved=[assurance.PASSWORD])


def submit_mobile_code(step: SignInStep, *, mobile: str, verification_code: str) -> LoginOutcome:
    """Take a mobile number and the code that was sent to it. A wrong one counts like a wrong password (S30).

    Raises StateInvalid, TooManyRequests, AccountLocked, VerificationRefused, then NotFound (USER.0001) or
    AccountDisabled.
    """
    row = machine.get(step, state=LoginState.START)
    try:
        user, proved = authentication.check_mobile_code(
            tenant=row.tenant,
            purpose=VerificationPurpose.LOGIN,
            mobile=mobile,
            verification_code=verification_code,
            context=step.context,
        )
        with transaction.atomic():
            verification.spend(proved)
            users.mark_verified(user=user, attribute="mobile", context=step.context)
            audit.record(EventType.LOGIN_MOBILE, tenant=row.tenant, actor=user, target=user, context=step.context)
    except IdentityError as error:
        machine.record_refusal(EventType.LOGIN_MOBILE, row=row, error=error, mobile=mobile, context=step.context)
        raise
    row.user = user
    return machine.advance(row, step, proved=[assurance.TEXT_MESSAGE])


def submit_registration(step: SignInStep, *, mobile: str, verification_code: str, **person: Any) -> LoginOutcome:
    """Make a user whose mobile number the code proves, and sign them in. ACCESS_DENIED where the tenant lets nobody in.

    person: as `registration.register` takes it. What is refused there leaves the code good, as its holder has proved
    themselves; tries count for their source, because with them names could be asked for.
    Raises StateInvalid, TooManyRequests, VerificationRefused, and as `registration.register`.
    """
    row = machine.get(step, state=LoginState.START)
    tenant = row.tenant
    if not tenant.allow_registration:
        error = AccessDenied("CAPTCHA.0005", log_detail="registration is switched off")
        return machine.deny(row, error=error, context=step.context)
    target = verification.mobile_target(mobile, tenant=tenant)
    try:
        with throttle.source_counted(tenant=tenant, context=step.context):
            proved = verification.prove(
                tenant=tenant, purpose=VerificationPurpose.REGISTER, target=target, verification_code=verification_code
            )
            if authentication.resolve_mobile(mobile, tenant=tenant).user is not None:
                # In another spelling too, which the database would not know for the same number.
                raise AlreadyExists("USER.0030", log_detail="attribute=mobile")
            breaches.check(person.get("password") or "", tenant=tenant, context=step.context)
            with turn(), transaction.atomic():
                verification.spend(proved)
                row.user = registration.register(tenant=tenant, mobile=mobile, context=step.context, **person)
                outcome = machine.advance(row, step, proved=[assurance.TEXT_MESSAGE])
    except IdentityError as error:
        row.user = None  # whoever was made is not, after the rollback
        machine.record_refusal(EventType.USER_CREATE, row=row, error=error, context=step.context)
        raise
    throttle.succeed_source(tenant=tenant, context=step.context)
    return outcome


def choose_second_factor(step: SignInStep, *, name: str) -> None:
    """Choose the second factor, of those that there are. Raises StateInvalid."""
    row = machine.get(step, state=LoginState.MFA_AUTH)
    if name not in second_factors(row):
        raise StateInvalid(log_detail=f"login_transaction={row.pk} has no such second factor")
    remember(row, second_factor=name)


def second_factor(row: LoginTransaction) -> Factor:
    """Return the factor that is asked for. Raises StateInvalid if there is none (any more)."""
    return table.chosen(row, user=machine.user_of(row))


def second_factors(row: LoginTransaction) -> list[str]:
    """Return the names of all that could be taken."""
    return [factor.name for factor in table.possible(row, user=machine.user_of(row), amr=row.amr)]


def other_second_factors(row: LoginTransaction) -> list[Factor]:
    """Return what could be chosen instead."""
    present = second_factor(row)
    return [factor for factor in table.possible(row, user=machine.user_of(row), amr=row.amr) if factor is not present]


def begin_second_factor(step: SignInStep) -> Begun:
    """Ask for the second factor in this sign-in, as by sending a code. Raises StateInvalid, and as `Factor.begin`."""
    row = machine.get(step, state=LoginState.MFA_AUTH)
    return second_factor(row).begin(row, user=machine.user_of(row), context=step.context)


def begun_second_factor(row: LoginTransaction) -> Begun | None:
    """Return what was begun for this very sign-in and is open still."""
    return second_factor(row).find_begun(row, user=machine.user_of(row))


def mobile_of_second_factor(step: SignInStep) -> str:
    """Return the number to which the second factor's code goes, in full: its holder has proved the first factor.

    Raises StateInvalid.
    """
    row = machine.get(step, state=LoginState.MFA_AUTH)
    if table.TEXT_MESSAGE not in table.possible(row, user=machine.user_of(row), amr=row.amr):
        raise StateInvalid(log_detail=f"login_transaction={row.pk} has no text message")
    return table.TEXT_MESSAGE.target(machine.user_of(row)).address


def submit_second_factor(
    step: SignInStep, response: Mapping[str, Any], *, name: str = "", trust_browser: bool = False
) -> LoginOutcome:
    """Take the response to the second factor. A wrong one counts like a wrong password (S30).

    response: as `Factor.check` takes it. name: of the factor, where a protocol has a call for each, else "".
    trust_browser: the person wishes not to be asked in this browser; followed where that is offered.
    Raises StateInvalid, TooManyRequests, AccountLocked, AccountDisabled, and the factor's own refusals.
    """
    row = machine.get(step, state=LoginState.MFA_AUTH)
    user = machine.user_of(row)
    factor = table.chosen(row, user=user, name=name)
    try:
        proved = factor.check(row, response, user=user, context=step.context)
    except IdentityError as error:
        machine.record_refusal(EventType.LOGIN_SECOND_FACTOR, row=row, error=error, context=step.context)
        raise
    audit.record(EventType.LOGIN_SECOND_FACTOR, tenant=row.tenant, actor=user, target=user, context=step.context)
    if trust_browser and trust_offered(row):
        remember(row, **{_TRUST: True})
    return machine.advance(row, step, proved=proved)


def trust_offered(row: LoginTransaction) -> int:
    """Return for how many days the person may have this browser trusted, 0 where that is not offered."""
    user = machine.user_of(row)
    is_offered = assurance.PASSWORD in row.amr and access.trusts_browsers(user=user, application=row.application)
    return trusted_devices.days_of(user) if is_offered else 0


def trust_browser(step: SignInStep, outcome: LoginOutcome) -> tuple[str, timedelta] | None:
    """Have the browser trusted, where the person wished it in the sign-in that ended with this outcome.

    Return the handle for its cookie, and how long it is good.
    """
    if not outcome.transaction.data.get(_TRUST) or outcome.session is None:
        return None
    made = trusted_devices.trust(session=outcome.session, binding=step.binding, context=step.context)
    if made is not None:
        notices.send("browser_trusted", user=outcome.session.user, context=step.context, days=made[1].days)
    return made


def submit_passkey(step: SignInStep, *, credential: str) -> LoginOutcome:
    """Take what a passkey answered to a challenge of this sign-in, in place of name and password.

    Raises StateInvalid, TooManyRequests, AccountLocked, PasskeyRefused, AccountDisabled.
    """
    row = machine.get(step, state=LoginState.START)
    try:
        user, proved = passkey.sign_in(row, credential, context=step.context)
    except IdentityError as error:
        machine.record_refusal(EventType.LOGIN_PASSKEY, row=row, error=error, context=step.context)
        raise
    row.user = user
    audit.record(EventType.LOGIN_PASSKEY, tenant=row.tenant, actor=user, target=user, context=step.context)
    return machine.advance(row, step, proved=proved)


def submit_enrolment(step: SignInStep, *, name: str, verification_code: str = "", credential: str = "") -> LoginOutcome:
    """Add a factor for somebody without any, and count it as proved: an app by its code, or a passkey by its answer.

    Raises StateInvalid, also where a factor was added meanwhile and has to be proved (S28), and VerificationRefused.
    """
    row = machine.get(step, state=LoginState.FACTOR_ENROL)
    user, owner = machine.user_of(row), ceremonies.owner_of(row)
    kind = FactorKind.PASSKEY if credential else FactorKind.TOTP
    if kind not in enrollable(row):
        raise StateInvalid(log_detail=f"login_transaction={row.pk} needs more than {kind}")
    try:
        if credential:
            added = enrolment.finish_passkey(
                user=user, owner=owner, name=name, credential=credential, context=step.context, after=row.amr
            )
        else:
            added = enrolment.finish_totp(
                user=user,
                owner=owner,
                name=name,
                verification_code=verification_code,
                context=step.context,
                after=row.amr,
            )
    except IdentityError as error:
        machine.record_refusal(EventType.FACTOR_ADD, row=row, error=error, context=step.context)
        raise
    return machine.advance(row, step, proved=added.methods)


def enrollable(row: LoginTransaction) -> list[str]:
    """Return the names of the factors that may be set up in this sign-in."""
    return [factor.name for factor in table.enrollable(row, user=machine.user_of(row), amr=row.amr)]


def grace_of(row: LoginTransaction) -> enrolment.Grace | None:
    """Return how long setting up a second factor may still be put off; None where it may not."""
    is_asked_for = not assurance.satisfies(assurance.acr_of(row.amr), row.data.get("required_acr", ""))
    return None if is_asked_for else enrolment.grace_of(machine.user_of(row))


def skip_enrolment(step: SignInStep) -> LoginOutcome:
    """Go on without a second factor, as long as the tenant's grace lasts. Raises StateInvalid."""
    row = machine.get(step, state=LoginState.FACTOR_ENROL)
    if grace_of(row) is None:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} has no grace")
    enrolment.use_grace(machine.user_of(row), context=step.context)
    row.data = {**row.data, machine.SKIPPED: True}
    LoginTransaction.objects.filter(pk=row.pk, state=LoginState.FACTOR_ENROL, finished_at=None).update(data=row.data)
    return machine.advance(row, step, proved=[])


def change_expired_password(step: SignInStep, *, new_password: str, old_password: str | None = None) -> LoginOutcome:
    """Replace a password that has expired, must be changed, or will expire soon, and finish the sign-in.

    old_password: where the protocol asks for it again. A wrong one counts as a failed try (S30) and raises
    CredentialsRefused (PARAM.0028), AccountLocked or TooManyRequests.
    Raises StateInvalid, PasswordRefused, ValueRequired (both leave the state), AccountDisabled.
    """
    row = machine.get(step, state=(LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN))
    user = machine.user_of(row)
    if not user.is_usable:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    try:
        if old_password is not None:
            _check_old_password(user, old_password=old_password, new_password=new_password, context=step.context)
        breaches.check(new_password, tenant=user.tenant, context=step.context, actor=user, target=user)
        credentials.set_password(user=user, password=new_password, context=step.context, actor=user)
    except IdentityError as error:
        machine.record_refusal(EventType.PASSWORD_CHANGE, row=row, error=error, context=step.context)
        raise
    # The change has ended every session of the user, the one of this browser too.
    is_ended = step.session is not None and step.session.user_id == user.pk
    return machine.finish(row, replace(step, session=None) if is_ended else step)


def _check_old_password(user: User, *, old_password: str, new_password: str, context: RequestContext) -> None:
    try:
        authentication.check_password_of(user, password=old_password, context=context)
    except CredentialsRefused as error:
        raise CredentialsRefused("PARAM.0028", log_detail=error.log_detail) from None
    if credentials.is_same(old_password, new_password):
        raise PasswordRefused("PARAM.0020")


def skip_password_warning(step: SignInStep) -> LoginOutcome:
    """Go on with a password that will expire soon. Raises StateInvalid in every other state."""
    row = machine.get(step, state=LoginState.PASSWORD_WARN)
    # Asked anew: the trust may have ended since the password.
    return machine.finish(row, step, device_trusted=machine.is_trusted(row, step, amr=row.amr))


def choose_account(step: SignInStep, *, goes_on: bool) -> LoginOutcome:
    """Take the choice of account: go on as the signed-in person, or as somebody else.

    Going on proves nothing new: the session stays as it is. Raises StateInvalid.
    """
    row, session = machine.get(step, state=LoginState.START), step.session
    if session is None or not row.data.get("select_account"):
        raise StateInvalid(log_detail=f"login_transaction={row.pk} asks for no account")
    if goes_on and not row.data.get("reauthenticate"):
        if machine.step_up(row, session=session):
            return LoginOutcome(LoginState.MFA_AUTH, row, user=session.user, next_url=row.next_url)
        return finish_with(row, session=session)
    row.data = {
        **row.data,
        "select_account": False,
        "reauthenticate": True,  # as the session of before is not the answer
        "login_hint": session.user.user_name if goes_on else "",
    }
    LoginTransaction.objects.filter(pk=row.pk).update(data=row.data)
    return LoginOutcome(LoginState.START, row, next_url=row.next_url)


def start_over(step: SignInStep) -> LoginOutcome:
    """Begin this sign-in again without the person that was named, for somebody else at the same browser.

    What the application asked for stays, and nothing that was proved does (S28). Raises StateInvalid.
    """
    states = (LoginState.MFA_AUTH, LoginState.FACTOR_ENROL, LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN)
    row = machine.get(step, state=states)
    data = {
        **machine.asked(row),
        "login_hint": "",
        # The session that the browser has is another person's than the one who is to sign in.
        "reauthenticate": bool(row.data.get("reauthenticate")) or step.session is not None,
    }
    with transaction.atomic():
        machine.move(row, to=LoginState.START, user=None, amr=[], data=data)
        ceremonies.close(ceremonies.owner_of(row))
    return LoginOutcome(LoginState.START, row, next_url=row.next_url)
