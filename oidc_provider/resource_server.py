"""The toolkit's face for resource servers: an app that somebody adds protects its views by our access tokens.

`OAuth2Authentication`, `TokenHasScope`, `OAuth2TokenMiddleware` and `ProtectedResourceView` find the validator by the
setting OAUTH2_VALIDATOR_CLASS; `protected_resource` takes it as `validator_cls` (docs/extending.md). Our own endpoints
do not pass here: `token`, `authorization` and `public` read and write the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator

from identity.context import META_KEY
from oidc_provider.clients import cached
from oidc_provider.grants import rows
from oidc_provider.models import AccessToken


class ResourceValidator(OAuth2Validator):
    """Answer who an access token stands for, by our rows and our gate."""

    def validate_bearer_token(self, token: str, scopes: Sequence[str] | None, request: Any) -> bool:
        """Take a token that counts here and now and grants all of these scopes (RFC6750-3.1).

        The tenant is the one whose host was asked (S36). Client, user, session and access are judged as at our own
        APIs, so a token ends at once with any of them (decision 22).
        """
        row = self._find(token, request)
        if row is None or not set(scopes or ()) <= set(row.scopes):
            self._set_oauth2_error_on_request(request, row, scopes or ())
            return False
        request.client, request.user = cached.get(row.application_id), row.user
        request.scopes = list(row.scopes)
        request.access_token = row  # the REST framework's `request.auth`
        return True

    @staticmethod
    def _find(token: str, request: Any) -> AccessToken | None:
        context = request.headers.get(META_KEY)
        if not token or context is None or context.tenant is None:
            return None
        row = rows.load_access_token(token)
        if row is None:
            return None
        return row if rows.is_live(row, client=cached.get(row.application_id), tenant=context.tenant) else None

    def validate_id_token(self, token: str, scopes: Any, request: Any) -> bool:
        """Refuse: an id_token is no access token."""
        return False

    validate_jwt_bearer_token = validate_id_token

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Refuse every client: the toolkit's own endpoints stay shut, wherever their routes are included."""
        return False

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Refuse every client."""
        return False

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Refuse every client."""
        return False
