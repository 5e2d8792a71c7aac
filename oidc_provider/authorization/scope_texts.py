"""What scopes and claims mean, in the words of the consent page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from oidc_provider import dialects
from oidc_provider.dialects.base import Dialect
from oidc_provider.models import Client


@dataclass(frozen=True)
class ScopeText:
    """One line of the consent page."""

    name: str
    title: str | Promise
    description: str | Promise = ""


_SCOPES = {
    text.name: text
    for text in (
        ScopeText("openid", _("Know that it is you"), _("A fixed number that stands for your account.")),
        ScopeText("profile", _("Your profile"), _("Name, picture, gender, birthday, language and time zone.")),
        ScopeText("email", _("Your e-mail address"), _("And whether it was verified.")),
        ScopeText("address", _("Your postal address")),
        ScopeText("phone", _("Your phone number"), _("And whether it was verified.")),
        ScopeText("roles", _("Your roles"), _("What you may do in this application.")),
        ScopeText("organizations", _("Your organisations"), _("Where you belong, from the top to your department.")),
        ScopeText(
            "offline_access", _("Access while you are away"), _("It keeps access after you have signed out here.")
        ),
        ScopeText("get_user_info", _("Your basic details"), _("Account name, name, e-mail address and mobile number.")),
    )
}


def of_scopes(names: Iterable[str], *, client: Client) -> list[ScopeText]:
    """Return the texts of scopes; a tenant's own scopes say what their rows say."""
    names = _with_implied(names, dialects.get(client.dialect))
    own: dict[str, ScopeText] = {}
    if any(name not in _SCOPES for name in names):
        own = {row.name: ScopeText(row.name, row.description or row.name) for row in client.api_scopes.all()}
    return [_SCOPES.get(name) or own.get(name) or ScopeText(name, name) for name in names]


def _with_implied(names: Iterable[str], dialect: Dialect) -> list[str]:
    """Add what the dialect gives with another scope's name: what is given belongs on the page."""
    return list(dict.fromkeys(shown for name in names for shown in (name, *dialect.implied_scopes.get(name, ()))))


def of_claims(names: Iterable[str]) -> list[ScopeText]:
    """Single claims that the claims parameter asks for (OIDCC-5.5), in one line."""
    names = list(names)
    if not names:
        return []
    return [ScopeText("claims", _("Single facts about you"), ", ".join(names))]
