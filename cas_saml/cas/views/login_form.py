"""The login form of the vendor's paths (OneAccess-3.3.2)."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from cas_saml.cas.views.answers import refuse_json
from identity import cookies
from identity.browser import interaction
from identity.browser.interaction import Demands
from identity.decorators import of_a_tenant
from identity.errors import IdentityError
from identity.http import Request
from identity.models import LoginState
from identity.sign_in import login as sign_ins
from identity.views import errors, steps


@csrf_exempt  # Decision 18: for forms of pages of this host, told by the Origin header that browsers set
@never_cache
@sensitive_post_parameters("password")
@require_POST
@of_a_tenant
def login_form(request: Request) -> HttpResponse:
    """Take name and password, and go on with the login request that waits (OneAccess-3.3.2.1)."""
    if request.headers.get("Origin", "") != request.context.origin:
        return errors.forbidden(request)
    handle = _waiting(request) or interaction.begin(
        request, next_url=reverse("cas_saml:cas_login"), demands=Demands(reauthenticate=True)
    )
    try:
        outcome = sign_ins.submit_password(
            steps.step(request, handle),
            identifier=request.POST.get("username", ""),
            password=request.POST.get("password", ""),
        )
    except IdentityError as error:
        return refuse_json(error)
    return steps.follow(request, outcome, handle)


def _waiting(request: Request) -> str:
    """Return the handle of the sign-in that waits for a password in this browser, "" where none does."""
    handle = request.POST.get("transaction", "") or cookies.read(cookies.WAITING, request)
    row = steps.find(request, handle)
    return handle if row is not None and row.state == LoginState.START else ""
