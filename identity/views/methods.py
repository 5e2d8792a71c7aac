"""By what a sign-in may begin on its page: which ways there are, which one is shown, and the links to the others.

The tenant says which there are (`policies.sign_in_methods`). What was used last in this browser comes first, unless the
address names another one. All of it is known before the page is drawn, so that a drawn page serves everybody with the
same ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from django.utils.translation import pgettext

from identity import cookies, policies
from identity.browser.interaction import sign_in_page
from identity.http import Request
from identity.models import LoginTransaction, SignInMethod
from identity.sign_in import first_codes
from identity.sign_in.factors import passkey
from identity.sign_in.forms import LoginForm, MailboxForm, MobileForm, TransactionForm

PARAMETER = "method"
PASSKEY = "passkey"  # a button on each of these pages, and no page of its own

# The field of a form for codes in which the address stands.
ADDRESS_FIELDS: Mapping[str, str] = MappingProxyType({SignInMethod.SMS: "mobile", SignInMethod.EMAIL: "email"})


class Ways(NamedTuple):
    """The ways to sign in on one page."""

    offered: tuple[str, ...]  # in the order in which they are shown
    chosen: str
    has_passkeys: bool = True
    passkey_first: bool = False  # whether their button comes first, as one was used last


def ways(request: Request, row: LoginTransaction) -> Ways:
    """Return what the page offers to this browser, and which of it is shown. No query."""
    last = cookies.last_method(request)
    offered = tuple(sorted(policies.sign_in_methods(row.tenant), key=lambda method: method != last))
    is_filled_in = PARAMETER in request.POST or "identifier" in request.POST
    asked = request.POST.get(PARAMETER, SignInMethod.PASSWORD) if is_filled_in else request.GET.get(PARAMETER)
    has_passkeys = passkey.is_allowed(row.tenant)
    chosen = asked if asked in offered else offered[0]
    return Ways(offered, chosen, has_passkeys, passkey_first=has_passkeys and last == PASSKEY)


def sent(request: Request) -> str:
    """Return of which way a posted form is; one that says nothing has name and password in it."""
    method = request.POST.get(PARAMETER, SignInMethod.PASSWORD)
    return method if method in ADDRESS_FIELDS else SignInMethod.PASSWORD


def is_waiting_for_code(request: Request, row: LoginTransaction) -> bool:
    """Tell whether the code is asked for that was ordered: unless the person has turned to a way to sign in."""
    return first_codes.is_ordered(row) and PARAMETER not in request.POST and PARAMETER not in request.GET


def form_of(method: str, data: Any = None, *, login_hint: str = "", transaction: str = "") -> TransactionForm:
    """Return the form of one way. login_hint: whom the application expects (OIDCC-3.1.2.1)."""
    initial = {"transaction": transaction} if transaction else {}
    if method == SignInMethod.SMS:
        form = MobileForm(data, initial=initial)
        form.fields["mobile"].widget.attrs["autocomplete"] = "tel webauthn"  # as on the pages of the other ways
        return form
    if method == SignInMethod.EMAIL:
        return MailboxForm(data, initial={**initial, "email": login_hint if "@" in login_hint else ""})
    return LoginForm(data, initial={**initial, "identifier": login_hint} if login_hint else initial)


def links(ways: Ways, handle: str) -> list[dict[str, Any]]:
    """Return the links between the ways; none where there is one way only."""
    labels = {
        SignInMethod.PASSWORD: pgettext("way to sign in", "Password"),
        SignInMethod.SMS: pgettext("way to sign in", "Text message"),
        SignInMethod.EMAIL: pgettext("way to sign in", "E-mail"),
    }
    return [
        {"label": labels[SignInMethod(method)], "url": address(method, handle), "is_chosen": method == ways.chosen}
        for method in (ways.offered if len(ways.offered) > 1 else ())
    ]


def mail_address(ways: Ways, handle: str) -> str:
    """Return where a code by mail is ordered, which takes no picture; "" where there is none."""
    return address(SignInMethod.EMAIL, handle) if SignInMethod.EMAIL in ways.offered else ""


def address(method: str, handle: str) -> str:
    """Return the address of one way in this sign-in."""
    return sign_in_page(handle, **{PARAMETER: method})
