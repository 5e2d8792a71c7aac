"""Signing in with an account at another provider, and linking one that nobody has linked yet.

    START --provider's code--> linked:     as after any first factor (MFA_AUTH, SUCCESS)
                               not linked: SOCIAL_BIND or USER_REGISTER, as the source is set up
    SOCIAL_BIND   --code sent to a mobile, or password--> SUCCESS
    USER_REGISTER --code sent to a mobile, or password--> SUCCESS

An account at a provider proves who somebody is there. Who that is here is proved by a code to the user's own number or
by the user's password, never by what the provider says of numbers or mailboxes (S23). The link is written by
`machine.finish`, in the transaction that opens the session, so a second factor that is due comes before it (S28).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from identity import assurance, audit, authority, crypto, throttle
from identity.context import RequestContext
from identity.directory import attributes, users
from identity.errors import AccessDenied, AccountDisabled, IdentityError, StateInvalid, ValueInvalid
from identity.events import EventType
from identity.federation import external_identities, upstreams
from identity.federation.connectors.base import ExternalPerson
from identity.models import (
    CounterKind,
    LoginState,
    LoginTransaction,
    SignInMethod,
    UnknownUser,
    Upstream,
    User,
    VerificationPurpose,
)
from identity.sign_in import authentication, captcha, machine, registration, verification
from identity.sign_in.machine import LoginOutcome, SignInStep
from identity.throttle import Limit

UNLINKED = (LoginState.SOCIAL_BIND, LoginState.USER_REGISTER)

_PURPOSES = {
    LoginState.SOCIAL_BIND: VerificationPurpose.BIND,
    LoginState.USER_REGISTER: VerificationPurpose.REGISTER,
}
_MOBILE = "login_transaction.mobile"
_SENDS = Limit(5, timedelta(hours=1))  # of one sign-in


def submit_code(step: SignInStep, *, upstream: Upstream | None, authorization_code: str) -> LoginOutcome:
    """Take a provider's authorization code.

    upstream: None where the tenant has no such source: refused by policy, so ACCESS_DENIED.
    Raises StateInvalid, TooManyRequests, ExternalCodeRefused, SystemBusy, AccountDisabled, AuthorityRefused
    (RIGHT.0005).
    """
    row = machine.get(step, state=LoginState.START)
    if upstream is None:
        return machine.deny(row, error=AccessDenied(log_detail="no such upstream"), context=step.context)
    try:
        # Codes are not guessed, but each one costs a call to the provider: a source that brings bad ones is stopped.
        # Where the provider is away, nobody is to be kept out for it when it is back.
        with throttle.source_counted(tenant=row.tenant, context=step.context):
            person = upstreams.ask(upstream, authorization_code=authorization_code)
        throttle.succeed_source(tenant=row.tenant, context=step.context)
        identity = external_identities.recognise(upstream=upstream, person=person, context=step.context)
        if identity is not None and not identity.user.is_usable:
            row.user = identity.user
            raise AccountDisabled(log_detail=f"user={identity.user_id}")
        if identity is not None:
            row.user = identity.user
            authority.check_proof_from_elsewhere(identity.user)
    except IdentityError as error:
        machine.record_refusal(EventType.LOGIN_EXTERNAL, row=row, error=error, context=step.context)
        raise
    if identity is None:
        may_register = upstream.unknown_user == UnknownUser.BIND_OR_REGISTER
        state = LoginState.USER_REGISTER if may_register else LoginState.SOCIAL_BIND
        parked = external_identities.park(upstream=upstream, person=person)
        machine.move(row, to=state, user=None, amr=[], data={**row.data, "external": parked})
        return LoginOutcome(state, row, next_url=row.next_url)
    row.user = identity.user
    audit.record(
        EventType.LOGIN_EXTERNAL,
        tenant=row.tenant,
        actor=row.user,
        target=row.user,
        context=step.context,
        details={"kind": upstream.kind, "link": identity.public_id},
    )
    return machine.advance(row, step, proved=[assurance.FEDERATED])


def bind(step: SignInStep, *, mobile: str, verification_code: str) -> LoginOutcome:
    """Link to the user with this mobile number, on the proof of a code sent to it, and sign that user in.

    Raises StateInvalid, ValueInvalid (USER.0038), TooManyRequests, AccountLocked, VerificationRefused, then NotFound
    (USER.0001), AccountDisabled, AlreadyExists (SOCIAL.0001).
    """
    row = machine.get(step, state=LoginState.SOCIAL_BIND)
    _check_number(row, mobile)
    try:
        row.user, proved = authentication.check_mobile_code(
            tenant=row.tenant,
            purpose=VerificationPurpose.BIND,
            mobile=mobile,
            verification_code=verification_code,
            context=step.context,
        )
        _check_free(row, row.user)
        with transaction.atomic():
            verification.spend(proved)
            return _link_by_text_message(row, step)
    except IdentityError as error:
        machine.record_refusal(EventType.EXTERNAL_LINK, row=row, error=error, context=step.context)
        raise


def register_and_bind(step: SignInStep, *, mobile: str, verification_code: str) -> LoginOutcome:
    """Link to the user with this mobile number or make one, on the proof of a code sent to it, and sign in.

    Raises StateInvalid, ValueInvalid (USER.0038), TooManyRequests, AccountLocked, VerificationRefused,
    AccountDisabled, AlreadyExists (SOCIAL.0001), and as `registration.register`; then the code stays good.
    """
    row = machine.get(step, state=LoginState.USER_REGISTER)
    _check_number(row, mobile)
    try:
        resolved = authentication.resolve_mobile(mobile, tenant=row.tenant)
        attempt = throttle.admit(tenant=row.tenant, user=resolved.user, name=resolved.name, context=step.context)
        target = verification.mobile_target(mobile, tenant=row.tenant)
        # The document names no type of code here, so apps order either (OneAccess-3.2.6.2).
        purposes = (VerificationPurpose.REGISTER, VerificationPurpose.BIND)
        proved = verification.prove(
            tenant=row.tenant,
            purpose=verification.newest_open(purposes, tenant=row.tenant, target=target),
            target=target,
            verification_code=verification_code,
        )
        throttle.succeed(attempt)
        if resolved.user is not None:
            row.user = authentication.check_holder(resolved.user, proved=proved)
            _check_free(row, row.user)
        with transaction.atomic():
            verification.spend(proved)
            if row.user is None:
                row.user = _register(row, mobile=mobile, context=step.context)
            return _link_by_text_message(row, step)
    except IdentityError as error:
        row.user = resolved.user  # whoever was made is not, after the rollback
        machine.record_refusal(EventType.EXTERNAL_LINK, row=row, error=error, context=step.context)
        raise


def _link_by_text_message(row: LoginTransaction, step: SignInStep) -> LoginOutcome:
    """Go on after a code to the user's number was spent, in its transaction."""
    users.mark_verified(user=machine.user_of(row), attribute="mobile", context=step.context)
    # The code is the one factor here. Whoever holds the telephone has an account at the provider too, so the account
    # that is being linked shows nothing: where two factors are due, linking is no way round them (S28).
    return machine.advance(row, step, proved=[assurance.TEXT_MESSAGE])


def _register(row: LoginTransaction, *, mobile: str, context: RequestContext) -> User:
    _upstream, person = _external_of(row)
    rules = attributes.user_rules(row.tenant)
    values = {}
    for name, value in (("nick_name", person.nickname), ("picture_url", person.picture_url)):
        try:
            values[name] = attributes.clean(rules[name], value)
        except ValueInvalid:
            # People put everything into a nickname, and none of it may keep them from registering.
            continue
    return registration.register(tenant=row.tenant, mobile=mobile, context=context, **values)


def link_by_password(step: SignInStep, *, identifier: str, password: str) -> LoginOutcome:
    """Link to the user whose name and password these are.

    The account at the provider is no factor of this sign-in: whoever has a stolen password has an account there too
    (S28). So a second factor that is due is asked for, and the link is written only after it.
    Raises StateInvalid, NotAllowed (MFA.0004) where the tenant's pages take no passwords, TooManyRequests,
    AccountLocked, CredentialsRefused, AccountDisabled, AlreadyExists (SOCIAL.0001).
    """
    row = machine.get(step, state=UNLINKED)
    try:
        machine.check_offered(row, SignInMethod.PASSWORD)
        user = authentication.check_password_login(
            tenant=row.tenant, identifier=identifier, password=password, context=step.context
        )
        _check_free(row, user)
    except IdentityError as error:
        machine.record_refusal(
            EventType.LOGIN_PASSWORD, row=row, error=error, identifier=identifier, context=step.context
        )
        raise
    row.user = user
    audit.record(EventType.LOGIN_PASSWORD, tenant=row.tenant, actor=user, target=user, context=step.context)
    return machine.advance(row, step, proved=[assurance.PASSWORD])


# The browser's page of linking -----------------------------------------------------------------------------


def shown_of(row: LoginTransaction) -> dict[str, Any]:
    """Return what the page shows: the provider's name, the nickname there, and whether registering is offered.

    Raises as `external_identities.unpark`.
    """
    upstream, person = _external_of(row)
    return {
        "provider": upstreams.label_of(upstream),
        "nickname": person.nickname,
        "may_register": row.state == LoginState.USER_REGISTER,
    }


def target_of(row: LoginTransaction) -> verification.Target | None:
    """Return the telephone to which this browser had a code sent."""
    sealed = row.data.get("mobile")
    if not sealed:
        return None
    return verification.mobile_target(crypto.unseal(sealed, purpose=_MOBILE), tenant=row.tenant)


def find_sent(row: LoginTransaction) -> verification.SentCode | None:
    """Return what is known of the code that is open for that telephone."""
    target = target_of(row)
    if target is None:
        return None
    return verification.find_open(tenant=row.tenant, purpose=_PURPOSES[LoginState(row.state)], target=target)


def send_code(step: SignInStep, *, mobile: str, answer: captcha.Answer | None) -> None:
    """Send the code that links, and remember where it went.

    Where only users may be linked, a number that nobody has is told the same, and sent nothing (S33). One account at a
    provider orders few codes, and each of them costs a puzzle, as in apps: whoever has an account there has proved
    nothing about the number.
    Raises StateInvalid, ValueInvalid (USER.0038), CaptchaRefused, TooManyRequests, SendFailed.
    """
    row = machine.get(step, state=UNLINKED)
    _check_number(row, mobile)
    captcha.solve(tenant=row.tenant, answer=answer, binding=step.binding)
    throttle.limit(tenant=row.tenant, kind=CounterKind.SEND_DEVICE, key=f"{_MOBILE}:{row.pk}", limit=_SENDS)
    user = authentication.resolve_mobile(mobile, tenant=row.tenant).user
    may_register = row.state == LoginState.USER_REGISTER
    verification.send(
        tenant=row.tenant,
        purpose=_PURPOSES[LoginState(row.state)],
        target=verification.mobile_target(mobile, tenant=row.tenant),
        user=user,
        context=step.context,
        is_deliverable=may_register or user is not None,
        is_beside_answer=not may_register,
    )
    _remember(row, mobile=mobile)


def send_code_again(step: SignInStep, *, answer: captcha.Answer | None) -> None:
    """Send another code to the same telephone. Raises as `send_code`."""
    target = target_of(machine.get(step, state=UNLINKED))
    if target is None:
        raise StateInvalid(log_detail="no number to send a code to")
    send_code(step, mobile=target.address, answer=answer)


def forget_number(step: SignInStep) -> None:
    """Ask for the number again. Raises StateInvalid."""
    _remember(machine.get(step, state=UNLINKED), mobile="")


def _remember(row: LoginTransaction, *, mobile: str) -> None:
    row.data = {**row.data, "mobile": crypto.seal(mobile, purpose=_MOBILE) if mobile else ""}
    LoginTransaction.objects.filter(pk=row.pk, state=row.state, finished_at=None).update(data=row.data)


# Both ------------------------------------------------------------------------------------------------------


def _check_number(row: LoginTransaction, mobile: str) -> None:
    """Refuse what the tenant takes for no number. Raises ValueRequired (USER.0010) and ValueInvalid (USER.0038)."""
    attributes.clean_mobile(mobile, tenant=row.tenant)


def _check_free(row: LoginTransaction, user: User) -> None:
    upstream, person = _external_of(row)
    external_identities.check_free(user=user, upstream=upstream, person=person)


def _external_of(row: LoginTransaction) -> tuple[Upstream, ExternalPerson]:
    parked = row.data.get("external")
    if not parked:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} holds nobody to link")
    return external_identities.unpark(parked, tenant=row.tenant)
