"""Send the browser to identity's sign-in pages, with what the request says about the sign-in."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse

from identity import cookies
from identity.browser.content_security import form_source
from identity.http import Request, tenant_of
from identity.sign_in import login
from oidc_provider.authorization import interaction
from oidc_provider.authorization.interaction import Step
from oidc_provider.authorization.request import AuthorizationRequest


def begin(request: Request, step: Step, wanted: AuthorizationRequest, *, next_url: str) -> str:
    """Begin a sign-in for this request; return the address of its first page."""
    is_for_sign_in = step in (Step.SIGN_IN, Step.SIGN_IN_AGAIN)
    handle = login.begin(
        tenant=tenant_of(request),
        binding=cookies.browser_binding(request),
        context=request.context,
        session=request.sso_session,
        application=wanted.client.catalogue_entry,
        next_url=next_url,
        login_hint=wanted.login_hint,
        ui_locales=" ".join(wanted.ui_locales),
        reauthenticate=is_for_sign_in and "login" in wanted.prompt,
        max_age_seconds=wanted.max_age if is_for_sign_in else None,
        select_account=step is Step.SELECT_ACCOUNT,
        required_acr=interaction.required_acr(wanted),
        return_origins=[source for source in [form_source(wanted.redirect_uri)] if source],
    )
    return f"{reverse('identity:login')}?{urlencode({'transaction': handle})}"
