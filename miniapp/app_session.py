"""The proof that a caller is the host app, signed in as the user it speaks of (dialects.md 23 and 24).

Two proofs, and no third: the user's own session_token as a bearer, or a host application that authenticates as a
client. A user id alone is answered with nothing, and what is wrong with a proof is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from identity import authority
from identity.authority import Change
from identity.context import RequestContext
from identity.directory import lists
from identity.errors import IdentityError
from identity.models import SessionKind, SSOSession, Tenant, User
from identity.sso import sessions
from oidc_provider import public
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.public import Host

_MAX_TOKEN_LENGTH = 200  # a handle has 43 characters
_ASSERTION = frozenset({"client_assertion", "client_assertion_type", "client_secret"})


@dataclass(frozen=True)
class AppSession:
    """A proved pair: the app, and the user who is signed in there."""

    user: User
    host: Host | None  # None: proved by the user's own session_token
    own: SSOSession | None  # the session of that session_token

    @property
    def host_id(self) -> str:
        """The client_id of the host application, "" where the proof names none."""
        return self.host.client_id if self.host else ""

    def open(self, context: RequestContext) -> SSOSession:
        """Return the session that codes and consents belong to: the user's own, or the one the host vouches for."""
        if self.own is not None:
            return self.own
        if self.host is None:
            raise LookupError("An app session was proved by neither.")
        try:
            return sessions.vouched(
                user=self.user, application=self.host.application, client_ref=self.host.client_id, context=context
            )
        except IdentityError as error:
            raise OAuthError(Fault.APP_SESSION, log_detail=error.error_code) from None


def prove(params: Mapping[str, str], *, authorization: str, context: RequestContext) -> AppSession:
    """Find the app session that this request proves for its userId. Raises OAuthError, whose answer is always the same.

    params: with userId, the public id of the user; in a body also the assertion of a host application.
    authorization: the header, "" without one.
    """
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        if _ASSERTION & params.keys():
            raise OAuthError(Fault.CLIENT_AUTHENTICATION_TWICE)  # RFC6749-2.3: one proof in a request
        return _by_session_token(value.strip(), user_id=params["userId"], tenant=tenant_of(context))
    host = public.authenticate_host(params, authorization=authorization, context=context)
    user = lists.find_user(tenant=tenant_of(context), public_id=params["userId"])
    if user is None or not user.is_usable:
        raise OAuthError(Fault.APP_SESSION, log_detail="unknown or disabled user", client_id=host.client_id)
    if not authority.may(Change.SIGN_IN, user=user, actor=host):
        # Told like an unknown user: a secret does not find out who the operators are.
        raise OAuthError(Fault.APP_SESSION, log_detail=f"user={user.pk} is an operator", client_id=host.client_id)
    return AppSession(user, host, None)


def by_sid(sid: str, *, context: RequestContext) -> SSOSession:
    """Return the session of an earlier proof, kept on the server, if it still counts. Raises OAuthError."""
    session = sessions.find_by_sid(sid=sid, tenant=tenant_of(context))
    if session is None:
        raise OAuthError(Fault.APP_SESSION, log_detail="the session has ended since")
    return session


def tenant_of(context: RequestContext) -> Tenant:
    """Return the tenant of the request's host."""
    if context.tenant is None:
        raise OAuthError(Fault.APP_SESSION, log_detail="no tenant")
    return context.tenant


def _by_session_token(token: str, *, user_id: str, tenant: Tenant) -> AppSession:
    # A browser's cookie is no session_token: whoever stole one must not speak for an app with it.
    session = sessions.find_by_handle(
        handle=token if len(token) <= _MAX_TOKEN_LENGTH else "", tenant=tenant, kind=SessionKind.SDK
    )
    if session is None or session.user.public_id != user_id:
        raise OAuthError(Fault.APP_SESSION, log_detail="no session, or of another user")
    sessions.touch(session)
    return AppSession(session.user, None, session)
