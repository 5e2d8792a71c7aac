"""What users see of their consents, and withdraw (OIDCC-3.1.2.4)."""

from __future__ import annotations

import pytest

from identity.models import AuditEvent, User
from identity.registry import consent_sources
from tests.factories import make_user
from tests.specs.conformance import ISSUER, Browser, Page, RelyingParty

pytestmark = pytest.mark.django_db


def withdraw(browser: Browser) -> Page:
    """Press "withdraw" on the account page."""
    page = browser.get("/account")
    assert isinstance(page, Page)
    form = next(form for form in page.forms if form.action.endswith("/withdraw"))
    done = browser.post(form.action, form.fields, referer=f"{ISSUER}/account")
    assert isinstance(done, Page)
    return done


@pytest.mark.spec("OIDCC-3.1.2.4")
def test_the_account_page_lists_what_was_allowed(party: RelyingParty, signed_in: Browser) -> None:
    party.authorize(signed_in, scope="openid email")
    page = signed_in.get("/account")
    assert isinstance(page, Page)
    assert "Your e-mail address" in page.text
    assert sum(form.action.endswith("/withdraw") for form in page.forms) == 1


def test_withdrawing_ends_the_tokens_and_asks_again(party: RelyingParty, signed_in: Browser) -> None:
    tokens = party.authorize(signed_in, scope="openid email offline_access", prompt="consent").tokens()
    page = withdraw(signed_in)
    assert not [form for form in page.forms if form.action.endswith("/withdraw")]
    assert party.userinfo(tokens.access_token).status_code == 401
    assert party.refresh(tokens.body["refresh_token"]).json()["error"] == "invalid_grant"
    assert AuditEvent.objects.filter(event_type="consent:withdraw", client_id=party.client_id).count() == 1
    # The session goes on, and nothing of the old consent comes back with a smaller one.
    asked = party.start(signed_in)
    assert isinstance(asked, Page)
    assert asked.is_consent
    signed_in.decide(asked)
    asked = party.start(signed_in, scope="openid email")
    assert isinstance(asked, Page)
    assert asked.is_consent


@pytest.mark.security("S36")
@pytest.mark.parametrize("consent_id", ["0", "999999", "x", "-1", "1" * 40, "１"])
def test_nobody_withdraws_what_is_not_theirs(
    party: RelyingParty, signed_in: Browser, person: User, consent_id: str
) -> None:
    from identity.context import RequestContext
    from oidc_provider.models import Consent

    source = consent_sources()["openid"]
    context = RequestContext(tenant=person.tenant)
    stranger = make_user(person.tenant)
    own = str(Consent.objects.get(user=person).pk)
    assert source.withdraw(user=person, consent_id=consent_id, context=context) is False
    assert source.withdraw(user=stranger, consent_id=own, context=context) is False
    assert [consent.consent_id for consent in source.list(user=person)] == [own]
    assert list(source.list(user=stranger)) == []
