"""Consent and codes without an authorization request in a browser: for mini programs inside a mobile app.

The same checks, the same consent and the same code as at the authorization endpoint. What differs is who
shows the pages: the app does, so nothing here asks the user anything, and what would have to be asked is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from django.db import transaction

from identity import audit
from identity.browser.interaction import Passed
from identity.context import RequestContext
from identity.errors import IdentityError
from identity.events import EventType
from identity.models import AuditOutcome, SSOSession, User
from identity.sso import access
from oidc_provider.authorization import approval, checks, consent, interaction, scope_texts
from oidc_provider.authorization.consent import Wish
from oidc_provider.authorization.request import AuthorizationRequest
from oidc_provider.authorization.scope_texts import ScopeText
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError, from_domain
from oidc_provider.mini_programs import hosts
from oidc_provider.mini_programs.hosts import Host
from oidc_provider.models import Client
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, check_scope_spelling, check_single, collect


@dataclass(frozen=True)
class ConsentQuestion:
    """What a user is asked for a mini program."""

    client: Client
    wish: Wish

    @property
    def is_answered(self) -> bool:
        """Whether the user need not be asked: everything was allowed before."""
        return not self.wish.is_new

    @property
    def mini_program(self) -> str:
        """What the user calls it."""
        return self.client.display_name

    @property
    def logo_url(self) -> str:
        """Its picture, "" if there is none."""
        return str(self.client.catalogue_entry.logo_url)

    @property
    def new(self) -> list[ScopeText]:
        """What it asks for now, in plain words."""
        return scope_texts.of_scopes(self.wish.new_scopes, client=self.client)

    @property
    def already(self) -> list[ScopeText]:
        """What of it was allowed before."""
        known = [scope for scope in self.wish.scopes if scope in self.wish.known_scopes]
        return scope_texts.of_scopes(known, client=self.client)


def parameters(pairs: Iterable[tuple[str, str]], *, required: tuple[str, ...]) -> Mapping[str, str]:
    """Read a request of the app, in the names of the wire.

    Raises OAuthError for what is repeated or malformed, and for what is missing: its names, in this order.
    """
    params = collect(pairs)
    try:
        check_single(params)
        if missing := tuple(name for name in required if name not in params):
            raise OAuthError(Fault.MISSING_PARAMETER, names=missing)
    except OAuthError as error:
        if "state" not in params.repeated | params.malformed:
            error.state = params.get("state", "")
        raise
    return params


# Consent ---------------------------------------------------------------------------------------------------


def ask(
    client_id: str, scope: str, *, user: User, host: str, dialect: Dialect, context: RequestContext
) -> ConsentQuestion:
    """Find what this user must be asked before the mini program may have these scopes.

    scope: as on the wire; "" asks only whether the user ever consented. host: client_id of the host application that
    shows it, "" where a user's own proof names none. Raises OAuthError.
    """
    client = hosts.find_mini_program(client_id, dialect=dialect, host=host, context=context)
    scopes = _scopes(scope, client=client, dialect=dialect) if scope else ()
    return ConsentQuestion(client, consent.wish(_as_request(client, scopes), user=user))


def check_access(question: ConsentQuestion, *, user: User) -> None:
    """Refuse to ask, or to record, what the user could not use. Raises OAuthError."""
    try:
        access.check(user=user, application=question.client.catalogue_entry)
    except IdentityError as error:
        raise from_domain(error) from None


def agree(question: ConsentQuestion, *, session: SSOSession, context: RequestContext) -> None:
    """Record that the user of the session allows everything that was asked."""
    check_access(question, user=session.user)
    if not question.wish.is_implied:
        consent.record(question.wish, client=question.client, session=session, context=context)


def decline(question: ConsentQuestion, *, session: SSOSession, dialect: Dialect, context: RequestContext) -> None:
    """Note that the user of the session refused. What was allowed before stays allowed."""
    audit.record(
        EventType.CONSENT_GRANT,
        tenant=session.tenant,
        actor=session.user,
        outcome=AuditOutcome.REFUSED,
        reason=Fault.CONSENT_REFUSED.value,
        application=question.client.catalogue_entry,
        client_id=question.client.client_id,
        dialect=dialect.name,
        sid=session.sid,
        context=context,
        details={"scopes": list(question.wish.new_scopes)},
    )


def record_check(
    question: ConsentQuestion, *, user: User, host: Host | None, dialect: Dialect, context: RequestContext
) -> None:
    """Note that somebody asked what a user had allowed."""
    audit.record(
        EventType.CONSENT_CHECK,
        tenant=hosts.tenant_of(context),
        actor=host if host else user,
        target=user,
        application=question.client.catalogue_entry,
        client_id=question.client.client_id,
        dialect=dialect.name,
        context=context,
        details={"is_authorized": question.is_answered},
    )


def _scopes(scope: str, *, client: Client, dialect: Dialect) -> tuple[str, ...]:
    """Return the scopes that are asked for and the client may have, by the rules of the authorization endpoint."""
    text = dialect.to_rfc(Parameters.of({"scope": scope})).get("scope", "")
    check_scope_spelling(text)
    words, allowed = text.split(" "), client.allowed_scopes | dialect.own_scopes
    if dialect.refuses_scopes(words, allowed) or "openid" not in words:
        raise OAuthError(Fault.SCOPE_NOT_ALLOWED, log_detail=f"client={client.pk}", client_id=client.client_id)
    return tuple(name for name in dict.fromkeys(words) if name in allowed)


def _as_request(client: Client, scopes: tuple[str, ...]) -> AuthorizationRequest:
    """Return the authorization request that a consent alone amounts to: one that asks the user, so prompt=consent."""
    return AuthorizationRequest(
        client=client,
        redirect_uri="",
        redirect_uri_given=False,
        response_type=frozenset({"code"}),
        response_mode="query",
        scopes=scopes,
        state="",
        nonce="",
        prompt=frozenset({"consent"}),
        max_age=None,
        login_hint="",
        id_token_hint=None,
        ui_locales=(),
        claims={},
        acr_values=(),
        code_challenge="",
        code_challenge_method="",
    )


# Codes -----------------------------------------------------------------------------------------------------


def issue_code(
    params: Mapping[str, str],
    *,
    user: User,
    open_session: Callable[[], SSOSession],
    host: Host | None,
    dialect: Dialect,
    context: RequestContext,
) -> Mapping[str, str]:
    """Give the mini program of this request a code for the user: members code and state.

    params: read by `parameters`. open_session: gives the app's session of this user; what it opens for a request that
    is refused is taken back. Raises OAuthError, also for what only a page could settle.
    """
    facts = Facts.of(context, dialect)
    wanted = checks.check(Parameters.of(dialect.to_rfc(params)), facts=facts)
    try:
        name = wanted.client.client_id
        hosts.find_mini_program(name, dialect=dialect, host=host.client_id if host else "", context=context)
        with transaction.atomic():
            # A withdrawal waits for the code, and revokes it; a code after a withdrawal finds no consent.
            consent.hold(user=user, client=wanted.client)
            session = open_session()
            decision = interaction.decide(_without_pages(wanted, host=host), session=session, passed=_passed(session))
            answer = approval.approve(wanted, session=session, scopes=decision.scopes, facts=facts)
    except IdentityError as error:
        raise _about(from_domain(error), wanted) from None
    except OAuthError as error:
        raise _about(error, wanted) from None
    return {"code": answer["code"], "state": wanted.state}


def _without_pages(wanted: AuthorizationRequest, *, host: Host | None) -> AuthorizationRequest:
    """Return the same request with prompt=none: what would have to be asked is refused."""
    if wanted.response_type != {"code"}:
        raise OAuthError(Fault.RESPONSE_TYPE)
    if wanted.prompt - {"none"}:
        raise OAuthError(Fault.INTERACTION_REQUIRED, log_detail="it asks for a page")
    if host is not None and wanted.max_age is not None:
        # The word of a host application says that the user is signed in there, and not since when.
        raise OAuthError(Fault.LOGIN_REQUIRED, log_detail="max_age needs a session_token")
    return replace(wanted, prompt=frozenset({"none"}))


def _passed(session: SSOSession) -> Passed:
    """Take the consent on record for this session.

    RFC8252-8.6 asks again where the answer goes to an address that any program may claim; this one goes to whoever
    proved the user's app session.
    """
    return Passed(consent_sid=session.sid)


def _about(error: OAuthError, wanted: AuthorizationRequest) -> OAuthError:
    """With the client's name for the audit, and no address: nothing is redirected here."""
    error.client_id = error.client_id or wanted.client.client_id
    error.redirect, error.state = None, wanted.state
    return error
