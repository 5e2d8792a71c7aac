"""Signing in with an account at another provider, and linking one that nobody has linked yet.

    START --provider's code--> linked:     as after any first factor (MFA_AUTH, SUCCESS)
                               not linked: SOCIAL_BIND or USER_REGISTER, as the source is set up
    SOCIAL_BIND   --code sent to a mobile, or password--> SUCCESS
    USER_REGISTER --code sent to a mobile, or password--> SUCCESS

An account at a provider proves who somebody is there. Who that is here is proved by a code to the user's own number or
by the user's password, never by what the provider says of numbers or mailboxes (S23). The link is written by
`login_steps.finish`, in the transaction that opens the session, so a second factor that is due comes before it (S28).
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from identity import assurance
from identity.connectors.base import ExternalPerson
from identity.context import RequestContext
from identity.errors import AccessDenied, AccountDisabled, IdentityError, StateInvalid, ValueInvalid
from identity.events import EventType
from identity.models import (
    LoginState,
    LoginTransaction,
    SessionKind,
    SSOSession,
    UnknownUser,
    Upstream,
    User,
    VerificationPurpose,
)
from identity.services import (
    attributes,
    audit,
    authentication,
    external_identities,
    login_steps,
    registration,
    throttle,
    upstreams,
    users,
    verification,
)
from identity.services.login_steps import LoginOutcome

UNLINKED = (LoginState.SOCIAL_BIND, LoginState.USER_REGISTER)


def submit_code(
    *,
    handle: str,
    upstream: Upstream | None,
    authorization_code: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    session: SSOSession | None = None,
) -> LoginOutcome:
    """Take a provider's authorization code.

    upstream: None where the tenant has no such source: refused by policy, so ACCESS_DENIED.
    Raises StateInvalid, TooManyRequests, ExternalCodeRefused, SystemBusy, AccountDisabled.
    """
    row = login_steps.get(handle=handle, binding=binding, context=context, channel=channel, state=LoginState.START)
    if upstream is None:
        return login_steps.deny(row, error=AccessDenied(log_detail="no such upstream"), context=context)
    try:
        # Codes are not guessed, but each one costs a call to the provider: a source that brings bad ones is stopped.
        throttle.count_source(tenant=row.tenant, context=context)
        person = upstreams.ask(upstream, authorization_code=authorization_code)
        throttle.succeed_source(tenant=row.tenant, context=context)
        identity = external_identities.recognise(upstream=upstream, person=person, context=context)
        if identity is not None and not identity.user.is_usable:
            row.user = identity.user
            raise AccountDisabled(log_detail=f"user={identity.user_id}")
    except IdentityError as error:
        login_steps.record_refusal(EventType.LOGIN_EXTERNAL, row=row, error=error, context=context)
        raise
    if identity is None:
        may_register = upstream.unknown_user == UnknownUser.BIND_OR_REGISTER
        state = LoginState.USER_REGISTER if may_register else LoginState.SOCIAL_BIND
        parked = external_identities.park(upstream=upstream, person=person)
        login_steps.move(row, to=state, user=None, amr=[], data={**row.data, "external": parked})
        return LoginOutcome(state, row, next_url=row.next_url)
    row.user = identity.user
    audit.record(
        EventType.LOGIN_EXTERNAL,
        tenant=row.tenant,
        actor=row.user,
        target=row.user,
        context=context,
        details={"kind": upstream.kind, "link": identity.public_id},
    )
    return login_steps.advance(row, proved=assurance.FEDERATED, context=context, session=session)


def bind(
    *,
    handle: str,
    mobile: str,
    verification_code: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    session: SSOSession | None = None,
) -> LoginOutcome:
    """Link to the user with this mobile number, on the proof of a code sent to it, and sign that user in.

    Raises StateInvalid, TooManyRequests, AccountLocked, VerificationRefused, then NotFound (USER.0001),
    AccountDisabled, AlreadyExists (SOCIAL.0001).
    """
    row = login_steps.get(
        handle=handle, binding=binding, context=context, channel=channel, state=LoginState.SOCIAL_BIND
    )
    try:
        row.user, proved = authentication.check_mobile_code(
            tenant=row.tenant,
            purpose=VerificationPurpose.BIND,
            mobile=mobile,
            verification_code=verification_code,
            context=context,
        )
        _check_free(row, row.user)
        with transaction.atomic():
            verification.spend(proved)
            return _link_by_text_message(row, context=context, session=session)
    except IdentityError as error:
        login_steps.record_refusal(EventType.EXTERNAL_LINK, row=row, error=error, context=context)
        raise


def register_and_bind(
    *,
    handle: str,
    mobile: str,
    verification_code: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    session: SSOSession | None = None,
) -> LoginOutcome:
    """Link to the user with this mobile number or make one, on the proof of a code sent to it, and sign in.

    Raises StateInvalid, TooManyRequests, AccountLocked, VerificationRefused, AccountDisabled, AlreadyExists
    (SOCIAL.0001), and as `registration.register`; then the code stays good.
    """
    row = login_steps.get(
        handle=handle, binding=binding, context=context, channel=channel, state=LoginState.USER_REGISTER
    )
    try:
        resolved = authentication.resolve_mobile(mobile, tenant=row.tenant)
        attempt = throttle.admit(tenant=row.tenant, user=resolved.user, name=resolved.name, context=context)
        proved = verification.prove(
            tenant=row.tenant,
            purpose=VerificationPurpose.REGISTER,
            target=verification.mobile_target(mobile, tenant=row.tenant),
            verification_code=verification_code,
        )
        throttle.succeed(attempt)
        if resolved.user is not None:
            row.user = authentication.check_holder(resolved.user, proved=proved)
            _check_free(row, row.user)
        with transaction.atomic():
            verification.spend(proved)
            if row.user is None:
                row.user = _register(row, mobile=mobile, context=context)
            return _link_by_text_message(row, context=context, session=session)
    except IdentityError as error:
        row.user = resolved.user  # whoever was made is not, after the rollback
        login_steps.record_refusal(EventType.EXTERNAL_LINK, row=row, error=error, context=context)
        raise


def _link_by_text_message(
    row: LoginTransaction, *, context: RequestContext, session: SSOSession | None
) -> LoginOutcome:
    """Go on after a code to the user's number was spent, in its transaction."""
    users.mark_verified(user=login_steps.user_of(row), attribute="mobile", context=context)
    # Decision 21: the code that was just spent is the text-message factor. Together with the provider's account that
    # makes two, so a policy that demands a second factor is met: the contract knows no other answer than SUCCESS here.
    row.amr = [assurance.FEDERATED]
    return login_steps.advance(row, proved=assurance.TEXT_MESSAGE, context=context, session=session)


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


def link_by_password(
    *,
    handle: str,
    identifier: str,
    password: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    session: SSOSession | None = None,
) -> LoginOutcome:
    """Link to the user whose name and password these are.

    The account at the provider is no factor of this sign-in: whoever has a stolen password has an account there too
    (S28). So a second factor that is due is asked for, and the link is written only after it.
    Raises StateInvalid, TooManyRequests, AccountLocked, CredentialsRefused, AccountDisabled, AlreadyExists
    (SOCIAL.0001).
    """
    row = login_steps.get(handle=handle, binding=binding, context=context, channel=channel, state=UNLINKED)
    try:
        user = authentication.check_password_login(
            tenant=row.tenant, identifier=identifier, password=password, context=context
        )
        _check_free(row, user)
    except IdentityError as error:
        login_steps.record_refusal(
            EventType.LOGIN_PASSWORD, row=row, error=error, identifier=identifier, context=context
        )
        raise
    row.user = user
    audit.record(EventType.LOGIN_PASSWORD, tenant=row.tenant, actor=user, target=user, context=context)
    return login_steps.advance(row, proved=assurance.PASSWORD, context=context, session=session)


def person_of(row: LoginTransaction) -> dict[str, Any]:
    """What the pages of linking show: the provider's name, the nickname there, and whether registering is offered."""
    upstream, person = _external_of(row)
    return {
        "provider": upstreams.label_of(upstream),
        "nickname": person.nickname,
        "may_register": row.state == LoginState.USER_REGISTER,
    }


def send_code(
    *, handle: str, mobile: str, binding: str, context: RequestContext, channel: str = SessionKind.BROWSER
) -> verification.SentCode:
    """Send the code that links. Where only users may be linked, a number that nobody has is told the same, and sent
    nothing (S33).

    Raises StateInvalid, TooManyRequests, SendFailed.
    """
    row = login_steps.get(handle=handle, binding=binding, context=context, channel=channel, state=UNLINKED)
    may_register = row.state == LoginState.USER_REGISTER
    resolved = authentication.resolve_mobile(mobile, tenant=row.tenant)
    return verification.send(
        tenant=row.tenant,
        purpose=VerificationPurpose.REGISTER if may_register else VerificationPurpose.BIND,
        target=verification.mobile_target(mobile, tenant=row.tenant),
        user=None,
        context=context,
        is_deliverable=may_register or resolved.user is not None,
        is_beside_answer=not may_register,
    )


def _check_free(row: LoginTransaction, user: User) -> None:
    upstream, person = _external_of(row)
    external_identities.check_free(user=user, upstream=upstream, person=person)


def _external_of(row: LoginTransaction) -> tuple[Upstream, ExternalPerson]:
    parked = row.data.get("external")
    if not parked:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} holds nobody to link")
    return external_identities.unpark(parked, tenant=row.tenant)
