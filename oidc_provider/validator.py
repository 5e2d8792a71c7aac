"""What oauthlib asks, answered from rows. The only subclass of the toolkit's validator (house.md 11, number 2).

There is one instance for the process, so nothing of a request is kept on it: every method finds the request's
`Exchange` in its headers. A method that refuses raises the OAuthError that says why; oauthlib hands it through.

Everything that the toolkit would read or write itself is answered here, for its own storage is not safe when requests
meet (toolkit.md 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator

from identity import audit
from identity.events import EventType
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import id_tokens, pkce, rows
from oidc_provider.grants.rows import Exchange, state_of
from oidc_provider.models import CLIENT_FLAGS, AuthorizationCode, GrantType

RESPONSE_TYPES = frozenset({"code", "id_token", "id_token token"})


class Validator(OAuth2Validator):
    """Answers for the code, implicit, refresh and client credentials grants."""

    # The client -----------------------------------------------------------------------------------------

    def client_authentication_required(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """The engine authenticated the client before oauthlib was asked (RFC6749-3.2.1)."""
        return True

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Hand over the client that the engine authenticated."""
        request.client = state_of(request).client
        return True

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Never asked, see `client_authentication_required`."""
        return False

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """The engine found the client; this is the same one (RFC6749-4.1.1)."""
        request.client = state_of(request).client
        return bool(request.client.client_id == client_id)

    def validate_redirect_uri(self, client_id: str, redirect_uri: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """`redirects.check` has compared it with the registered ones (RFC6749-3.1.2.3)."""
        return True

    def get_default_redirect_uri(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> str:
        """RFC6749-4.1.3: at the token endpoint it may be missing only if it was missing at the authorization."""
        code = self._code(request)
        state = state_of(request)
        # What the parameter protects, a code in the wrong hands, a secret or a verifier protects as well.
        is_proved = not state.client.is_public or bool(code.code_challenge)
        may_be_left_out = not state.context.dialect.repeats_redirect_uri and is_proved
        if code.redirect_uri_given and not may_be_left_out:
            raise OAuthError(Fault.CODE_REDIRECT_URI, log_detail=f"code={code.pk} missing")
        return str(code.redirect_uri)

    # The authorization request --------------------------------------------------------------------------

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether the server knows it and the client may use it (RFC6749-4.1.2.1)."""
        if response_type not in state_of(request).context.dialect.response_types:
            raise OAuthError(Fault.RESPONSE_TYPE)
        registered = {" ".join(sorted(words.split())) for words in client.response_types}
        is_code = response_type == "code"
        # RFC9700-2.1.2: implicit only for a client that is flagged for it.
        is_allowed = client.allows_grant_type(GrantType.AUTHORIZATION_CODE) if is_code else client.allow_implicit
        if response_type not in registered or not is_allowed:
            raise OAuthError(Fault.RESPONSE_TYPE_NOT_ALLOWED, log_detail=f"client={client.pk}")
        return True

    def validate_scopes(
        self, client_id: str, scopes: Sequence[str], client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Keep what the client may have (S12); refuse if nothing is left (RFC6749-3.3).

        OIDCC-3.1.2.1: scopes that are not understood should be ignored.
        """
        if request.grant_type == "client_credentials":
            # There is no user, so there is nothing but the scopes of APIs. None asked for means all of them.
            allowed = client.audiences
            request.scopes = [name for name in dict.fromkeys(scopes or allowed) if name in allowed]
            return bool(request.scopes) or not scopes
        allowed = client.allowed_scopes | state_of(request).context.dialect.own_scopes
        wanted = [name for name in dict.fromkeys(scopes or ()) if name in allowed]
        if "offline_access" in wanted and not self._may_go_offline(client, request):
            wanted.remove("offline_access")  # OIDCC-11: it is ignored where no refresh token can come of it.
        request.scopes = wanted
        if not wanted or ("id_token" in request.response_type and "openid" not in wanted):
            raise OAuthError(Fault.SCOPE if not scopes else Fault.SCOPE_NOT_ALLOWED)
        return True

    @staticmethod
    def _may_go_offline(client: Any, request: Any) -> bool:
        return bool(request.response_type == "code") and bool(client.allows_grant_type(GrantType.REFRESH_TOKEN))

    def get_default_scopes(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        """A request that names no scope asks for none."""
        return []

    def is_pkce_required(self, client_id: str, request: Any) -> bool:
        """RFC9700-2.1.1: by every public client, and by others that are registered so."""
        state = state_of(request)
        return bool(state.client.needs_pkce) or state.context.dialect.is_pkce_required

    def validate_silent_login(self, request: Any) -> bool:
        """`interaction` decides what the user must do; oauthlib sees no prompt."""
        return True

    validate_silent_authorization = validate_silent_login

    def validate_user_match(self, id_token_hint: Any, scopes: Any, claims: Any, request: Any) -> bool:
        """`engine.approve` compares the user with the one who was asked for."""
        return True

    def save_authorization_code(
        self, client_id: str, code: dict[str, str], request: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Keep the code (RFC6749-4.1.2)."""
        rows.store_code(code["code"], scopes=request.scopes, state=state_of(request))

    # The token request ----------------------------------------------------------------------------------

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether the client may use it (RFC6749-5.2 unauthorized_client)."""
        return bool(client.allows_grant_type(grant_type))

    @staticmethod
    def _code(request: Any) -> AuthorizationCode:
        """The row of the code, loaded once for a request. Raises OAuthError."""
        state = state_of(request)
        if state.code is None:
            state.code = rows.load_code(request.code)
        if state.code is None:
            raise OAuthError(Fault.AUTHORIZATION_CODE, log_detail="unknown")
        return state.code

    def get_authorization_code_scopes(
        self, client_id: str, code: str, redirect_uri: str, request: Any
    ) -> tuple[str, ...]:
        """The granted scopes; whether openid is among them chooses oauthlib's handler."""
        return self._code(request).scopes

    def validate_code(self, client_id: str, code: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether the code is this client's, here and now (RFC6749-4.1.3, S9, S26).

        Whether it was used is decided last, by the UPDATE that spends it: only who could have redeemed it can
        revoke what it gave.
        """
        row, state = self._code(request), state_of(request)
        if row.application_id != client.pk or row.dialect != state.context.dialect.name:
            raise OAuthError(Fault.AUTHORIZATION_CODE_CLIENT, log_detail=f"code={row.pk} client={client.pk}")
        if row.consumed_at is None and row.is_over(timezone.now()):
            raise OAuthError(Fault.AUTHORIZATION_CODE_EXPIRED, log_detail=f"code={row.pk}")
        if row.consumed_at is None:
            rows.check_grant(row, tenant=state.context.tenant)
        request.user = state.user = row.user
        request.scopes = list(row.scopes)
        return True

    def get_code_challenge(self, code: str, request: Any) -> str | None:
        """The stored challenge. S8: a verifier must come exactly when there is one (RFC7636-4.5, RFC9700-2.1.1)."""
        row = self._code(request)
        if row.code_challenge and not request.code_verifier:
            raise OAuthError(Fault.CODE_VERIFIER_MISSING, log_detail=f"code={row.pk}")
        if request.code_verifier and not row.code_challenge:
            raise OAuthError(Fault.CODE_VERIFIER_UNEXPECTED, log_detail=f"code={row.pk}")
        if request.code_verifier:
            self._check_verifier(request.code_verifier, state=state_of(request))
        return row.code_challenge or None

    @staticmethod
    def _check_verifier(verifier: str, *, state: Exchange) -> None:
        """RFC7636-4.1, within what the dialect's document and the client's flag add."""
        dialect, client = state.context.dialect, state.client
        if pkce.is_verifier(verifier, max_length=dialect.max_verifier_length):
            return
        detail = f"client={client.pk} length={len(verifier)}"
        if not pkce.is_verifier(
            verifier, min_length=dialect.short_verifier_length, max_length=dialect.max_verifier_length
        ):
            raise OAuthError(Fault.CODE_VERIFIER_MALFORMED, log_detail=detail)
        if not client.has_flag("short_verifiers"):
            # Only where the dialect knows the flag: its name in the audit is what an operator can do about it.
            is_known = "short_verifiers" in CLIENT_FLAGS[dialect.name]
            raise OAuthError(
                Fault.CODE_VERIFIER_SHORT if is_known else Fault.CODE_VERIFIER_MALFORMED, log_detail=detail
            )

    def get_code_challenge_method(self, code: str, request: Any) -> str | None:
        """The stored method."""
        return self._code(request).code_challenge_method or None

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """RFC6749-4.1.3: identical to the one of the authorization request. The last check before signing."""
        row, state = self._code(request), state_of(request)
        if redirect_uri != row.redirect_uri:
            raise OAuthError(Fault.CODE_REDIRECT_URI, log_detail=f"code={row.pk}")
        if row.consumed_at is not None:
            state.replayed = row.family
            raise OAuthError(Fault.AUTHORIZATION_CODE_REPLAYED, log_detail=f"code={row.pk}")
        return True

    def invalidate_authorization_code(self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing is left to do: `save_bearer_token` spent it, and the row stays (house.md 11, number 4)."""

    def get_authorization_code_nonce(self, client_id: str, code: str, redirect_uri: str, request: Any) -> str | None:
        """The nonce of the authorization request (OIDCC-3.1.3.6)."""
        return self._code(request).nonce or None

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether the refresh token is this client's, here and now (RFC6749-6, S9, S14, S26)."""
        state = state_of(request)
        row = rows.load_refresh_token(refresh_token)
        if row is None:
            raise OAuthError(Fault.REFRESH_TOKEN, log_detail="unknown")
        if row.application_id != client.pk or row.dialect != state.context.dialect.name:
            raise OAuthError(Fault.REFRESH_TOKEN_CLIENT, log_detail=f"token={row.pk} client={client.pk}")
        if row.revoked is not None:
            raise OAuthError(Fault.REFRESH_TOKEN_REVOKED, log_detail=f"token={row.pk}")
        if rows.is_replayed(row, state=state):
            state.replayed = row.family
            raise OAuthError(Fault.REFRESH_TOKEN_REPLAYED, log_detail=f"token={row.pk}")
        if row.is_over(timezone.now()):
            raise OAuthError(Fault.REFRESH_TOKEN_EXPIRED, log_detail=f"token={row.pk}")
        rows.check_grant(row, tenant=state.context.tenant)
        state.refresh_token = row
        request.user = state.user = row.user
        return True

    def get_original_scopes(self, refresh_token: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        """What was granted, of which the client may still have (S12: also when its registration was narrowed)."""
        state = state_of(request)
        allowed = state.client.allowed_scopes | state.context.dialect.own_scopes
        scopes = state.refresh_token.scopes if state.refresh_token else ()
        return [name for name in scopes if name in allowed]

    def is_within_original_scope(
        self, request_scopes: Sequence[str], refresh_token: str, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Oauthlib asks when a scope is not in the original ones (RFC6749-6)."""
        raise OAuthError(Fault.SCOPE_WIDENED, log_detail=f"client={request.client.pk}")

    def rotate_refresh_token(self, request: Any) -> bool:
        """Always (RFC9700-4.14.2)."""
        return True

    # Tokens ---------------------------------------------------------------------------------------------

    def save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        """Spend what was exchanged, keep what it gives, and record it: all in the engine's transaction."""
        state = state_of(request)
        rows.store_tokens(token, scopes=request.scopes, state=state)
        audit.record(
            EventType.TOKEN_GRANT,
            tenant=state.context.tenant,
            actor=state.client,
            target=state.user or state.client,
            client_id=state.client.client_id,
            dialect=state.context.dialect.name,
            sid=self._sid(state),
            application=state.client.catalogue_entry,
            context=state.context.request,
            details=self._details(request, state),
        )

    @staticmethod
    def _details(request: Any, state: Exchange) -> dict[str, Any]:
        details = {"grant_type": request.grant_type or "implicit", "scopes": list(request.scopes)}
        if state.is_within_grace and state.refresh_token is not None:
            # A second use that was let pass; one after the grace is a token:reuse.
            details |= {"is_within_grace": True, "family": str(state.refresh_token.family)}
        return details

    @staticmethod
    def _sid(state: Exchange) -> str:
        source = state.code or state.refresh_token or state
        return source.session.sid if source.session else ""

    def refresh_id_token(self, request: Any) -> bool:
        """OIDCC-12.2: a refresh of an OpenID grant gives a new id_token."""
        return True

    def get_id_token(self, token: dict[str, Any], token_handler: Any, request: Any) -> str:
        """Build and sign the id_token; oauthlib's own and the toolkit's are not used (house.md 11, number 7)."""
        return id_tokens.sign_id_token(token, scopes=request.scopes, state=state_of(request))

    def validate_bearer_token(self, token: str, scopes: Any, request: Any) -> bool:
        """Oauthlib's resource endpoints are not used: `engine.userinfo` and `public` read tokens."""
        return False

    def validate_id_token(self, token: str, scopes: Any, request: Any) -> bool:
        """An id_token is no access token (toolkit.md 4)."""
        return False

    validate_jwt_bearer_token = validate_id_token
