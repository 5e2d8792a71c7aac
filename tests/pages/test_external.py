"""WeChat and Alipay as buttons of the sign-in page: there and back, linking, and what must not fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client as HttpClient
from django.utils import timezone

from identity.context import RequestContext
from identity.errors import NotAllowed
from identity.federation.connectors import base
from identity.federation.connectors.base import Account, Connector, ExternalPerson
from identity.models import (
    ExternalIdentity,
    LoginTransaction,
    MFAMode,
    PendingRequest,
    SessionPolicy,
    SSOSession,
    Tenant,
    UnknownUser,
    Upstream,
    User,
)
from identity.sign_in import federated
from identity.sign_in.login import SignInStep
from tests.factories import PASSWORD, make_tenant, make_user
from tests.factories.upstreams import make_link, make_upstream
from tests.pages.conftest import HOST, Browser, alert_of, handle_in, next_query
from tests.pages.puzzles import answer_to, post_solved, token_in
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, Inbox, inbox
from tests.support.upstream_fixtures import alipay, alipay_source, wechat, wechat_source
from tests.support.upstreams import AlipayStub, Person, WeChatStub, always, slow

__all__ = ["alipay", "inbox", "wechat"]

pytestmark = pytest.mark.usefixtures("inbox")

SOMEBODY = Person(openid="o-1", unionid="u-1", user_id="2088702746395409")
WECHAT_APP = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Mobile MicroMessenger/8.0.47"


@pytest.fixture
def user(tenant: Tenant) -> User:
    return make_user(tenant, user_name="alice", mobile=MOBILE, phone_number_verified=True)


@pytest.fixture
def source(tenant: Tenant, wechat: WeChatStub) -> Upstream:
    return wechat_source(tenant, wechat, on_sign_in_page=True, authorize_url="https://open.weixin.example")


def press(browser: Browser, source: Upstream, *, transaction: str | None = None) -> dict[str, str]:
    """Press the source's button; return what the provider is sent, with the transaction of our own."""
    handle = transaction if transaction is not None else browser.open_login()
    response = browser.get(f"/login/with/{source.public_id}?transaction={handle}")
    assert response.status_code == 302, response.content
    sent = {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}
    return {**sent, "transaction": handle, "address": response["Location"]}


def come_back(browser: Browser, source: Upstream, state: str, **query: str) -> HttpResponse:
    return browser.client.get(f"/login/with/{source.public_id}/callback", {"state": state, **query})


def go_there_and_back(browser: Browser, source: Upstream, provider: WeChatStub, person: Person = SOMEBODY) -> Any:
    sent = press(browser, source)
    return come_back(browser, source, sent["state"], code=provider.code_for(person))


def notice_of(response: HttpResponse) -> str:
    found = re.search(r'class="notice"[^>]*>(.*?)</p>', response.content.decode())
    return found[1] if found else ""


# There and back --------------------------------------------------------------------------------------------


def test_a_linked_person_signs_in_and_goes_where_they_wanted_to(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    make_link(user, source, subject="u-1")
    page = browser.get("/login" + next_query("/account/password"))
    assert f'href="/login/with/{source.public_id}?transaction=' in page.content.decode()
    handle = re.search(r'name="transaction" value="([^"]+)"', page.content.decode())
    assert handle is not None
    sent = press(browser, source, transaction=handle[1])
    assert sent["address"].startswith("https://open.weixin.example/connect/qrconnect?appid=wx520c15f417810387&")
    assert sent["redirect_uri"] == f"http://{HOST}/login/with/{source.public_id}/callback"
    assert re.fullmatch(r"[0-9a-f]{32,128}", sent["state"])
    response = come_back(browser, source, sent["state"], code=wechat.code_for(SOMEBODY))
    assert (response.status_code, response["Location"]) == (302, "/account/password")
    assert browser.is_signed_in
    assert SSOSession.objects.get().amr == ["fed"]


def test_alipay_brings_its_code_under_its_own_name(
    browser: Browser, tenant: Tenant, user: User, alipay: AlipayStub
) -> None:
    source = alipay_source(tenant, alipay, on_sign_in_page=True)
    make_link(user, source, subject=SOMEBODY.user_id)
    sent = press(browser, source)
    assert sent["address"].startswith("https://openauth.alipay.com/oauth2/publicAppAuthorize.htm?app_id=")
    response = come_back(
        browser,
        source,
        sent["state"],
        auth_code=alipay.code_for(SOMEBODY),
        app_id="2014072300007148",
        scope="auth_user",
    )
    assert response["Location"] == "/account"


@pytest.mark.security("S28")
def test_the_second_factor_is_asked_for_here_too(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    make_link(user, source, subject="u-1")
    SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
    response = go_there_and_back(browser, source, wechat)
    handle = handle_in(response)
    assert not SSOSession.objects.exists()
    assert "138****5678" in browser.get(f"/login?transaction={handle}").content.decode()
    code = Inbox.messages[-1].verification_code
    browser.post("/login", {"transaction": handle, "verification_code": code})
    assert SSOSession.objects.get().amr == ["fed", "sms"]


@pytest.mark.security("S26")
def test_a_disabled_user_stays_out(browser: Browser, source: Upstream, user: User, wechat: WeChatStub) -> None:
    make_link(user, source, subject="u-1")
    User.objects.update(is_active=False)
    response = go_there_and_back(browser, source, wechat)
    assert not browser.is_signed_in
    assert "administrator" in notice_of(browser.get(response["Location"]))


def test_who_declines_comes_back_to_the_sign_in_page(browser: Browser, source: Upstream) -> None:
    sent = press(browser, source)
    response = come_back(browser, source, sent["state"])
    page = browser.get(response["Location"])
    assert "You did not sign in there" in notice_of(page)
    assert sent["transaction"] in page.content.decode()


@pytest.mark.parametrize(
    ("trouble", "text"), [("refused", "did not work"), ("busy", "does not answer"), ("slow", "does not answer")]
)
def test_trouble_at_the_provider_is_told_on_the_sign_in_page(
    browser: Browser, source: Upstream, wechat: WeChatStub, trouble: str, text: str
) -> None:
    sent = press(browser, source)
    wechat.fault = {"refused": None, "busy": always(502, b""), "slow": slow}[trouble]
    code = "unknown" if trouble == "refused" else wechat.code_for(SOMEBODY)
    response = come_back(browser, source, sent["state"], code=code)
    assert text in notice_of(browser.get(response["Location"]))
    assert not browser.is_signed_in


# What does not fit together --------------------------------------------------------------------------------


@pytest.mark.security("S27")
def test_an_answer_is_taken_once(browser: Browser, source: Upstream, user: User, wechat: WeChatStub) -> None:
    make_link(user, source, subject="u-1")
    sent = press(browser, source)
    come_back(browser, source, sent["state"])
    response = come_back(browser, source, sent["state"], code=wechat.code_for(SOMEBODY))
    assert (response.status_code, response["Location"]) == (302, "/login?notice=over")
    assert not browser.is_signed_in
    assert not wechat.calls


@pytest.mark.security("S27")
def test_somebody_elses_answer_signs_nobody_in(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    """Login CSRF: an attacker's own answer, sent to a victim's browser."""
    make_link(user, source, subject="u-1")
    attacker = Browser()
    sent = press(attacker, source)
    press(browser, source)
    response = come_back(browser, source, sent["state"], code=wechat.code_for(SOMEBODY))
    assert response["Location"] == "/login?notice=over"
    assert not wechat.calls
    # And the attacker's own browser may still use it.
    assert come_back(attacker, source, sent["state"], code=wechat.code_for(SOMEBODY))["Location"] == "/account"


@pytest.mark.security("S45")
def test_an_answer_for_another_source_is_not_taken(
    browser: Browser, source: Upstream, tenant: Tenant, alipay: AlipayStub
) -> None:
    other = alipay_source(tenant, alipay, on_sign_in_page=True)
    sent = press(browser, source)
    response = come_back(browser, other, sent["state"], auth_code=alipay.code_for(SOMEBODY))
    assert response["Location"] == "/login?notice=over"
    assert not alipay.calls


@pytest.mark.security("S45")
@pytest.mark.parametrize("name", ["state", "code"])
def test_a_parameter_twice_is_refused(browser: Browser, source: Upstream, wechat: WeChatStub, name: str) -> None:
    sent = press(browser, source)
    query = f"state={sent['state']}&code=x&{name}=y"
    assert browser.get(f"/login/with/{source.public_id}/callback?{query}").status_code == 400
    assert not wechat.calls


@pytest.mark.parametrize("state", ["", "x", "00", "é" * 10, "f" * 129, "zz" * 20, "ff" * 40])
def test_what_is_no_state_is_refused(browser: Browser, source: Upstream, wechat: WeChatStub, state: str) -> None:
    assert come_back(browser, source, state, code="x")["Location"] == "/login?notice=over"
    assert not wechat.calls


def test_an_answer_that_comes_too_late_is_not_taken(browser: Browser, source: Upstream, wechat: WeChatStub) -> None:
    sent = press(browser, source)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        response = come_back(browser, source, sent["state"], code=wechat.code_for(SOMEBODY))
    assert response["Location"] == "/login?notice=over"


@pytest.mark.security("S36")
def test_a_source_of_another_tenant_is_not_there(browser: Browser, wechat: WeChatStub) -> None:
    foreign = wechat_source(make_tenant(), wechat, on_sign_in_page=True)
    handle = browser.open_login()
    assert browser.get(f"/login/with/{foreign.public_id}?transaction={handle}").status_code == 404
    assert browser.get(f"/login/with/{foreign.public_id}/callback?state=00&code=x").status_code == 404


@pytest.mark.parametrize("public_id", ["unknown", "é", "\u202e"])
def test_an_unknown_source_is_not_there(browser: Browser, public_id: str) -> None:
    handle = browser.open_login()
    assert browser.client.get(f"/login/with/{public_id}", {"transaction": handle}).status_code == 404


@pytest.mark.security("S22")
@pytest.mark.parametrize("handle", ["", "unknown", "https://evil.example/"])
def test_without_a_sign_in_of_this_browser_nobody_is_sent_anywhere(
    browser: Browser, source: Upstream, handle: str
) -> None:
    response = browser.client.get(f"/login/with/{source.public_id}", {"transaction": handle})
    assert (response.status_code, response["Location"]) == (302, "/login")
    assert not PendingRequest.objects.exists()


@pytest.mark.parametrize(
    ("values", "user_agent", "is_shown"),
    [
        ({}, "Firefox/133.0", True),
        ({}, WECHAT_APP, False),
        ({"is_in_app": True}, WECHAT_APP, True),
        ({"is_in_app": True}, "Firefox/133.0", False),
        ({"on_sign_in_page": False}, "Firefox/133.0", False),
        ({"is_active": False}, "Firefox/133.0", False),
        ({"kind": "gone"}, "Firefox/133.0", False),
    ],
    ids=["page", "page inside WeChat", "in-app inside WeChat", "in-app elsewhere", "apps only", "off", "no connector"],
)
def test_a_browser_is_offered_what_it_can_use(
    browser: Browser, source: Upstream, values: dict[str, Any], user_agent: str, is_shown: bool
) -> None:
    Upstream.objects.update(**values)
    page = browser.get("/login", HTTP_USER_AGENT=user_agent).content.decode()
    assert (f"/login/with/{source.public_id}" in page) == is_shown


# Linking ---------------------------------------------------------------------------------------------------


def open_link_page(browser: Browser, source: Upstream, wechat: WeChatStub, person: Person = SOMEBODY) -> str:
    return handle_in(go_there_and_back(browser, source, wechat, person))


def submit(browser: Browser, handle: str, way: str = "", **data: str) -> HttpResponse:
    query = f"?transaction={handle}" + (f"&way={way}" if way else "")
    return post_solved(browser, f"/login{query}", {"transaction": handle, **data})


def test_an_unknown_person_is_linked_by_a_code(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    handle = open_link_page(browser, source, wechat)
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "小明" in page
    assert 'name="mobile"' in page
    assert submit(browser, handle, mobile="138-1234-5678").status_code == 302
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "****5678" in page
    assert 'name="verification_code"' in page
    response = submit(browser, handle, verification_code=Inbox.messages[-1].verification_code)
    assert response["Location"] == "/account"
    assert ExternalIdentity.objects.get().user == user
    assert SSOSession.objects.get().amr == ["sms"]


@pytest.mark.security("S23")
def test_a_wrong_code_links_nothing(browser: Browser, source: Upstream, user: User, wechat: WeChatStub) -> None:
    handle = open_link_page(browser, source, wechat)
    submit(browser, handle, mobile=MOBILE)
    wrong = f"{(int(Inbox.messages[-1].verification_code) + 1) % 10**6:06d}"
    response = submit(browser, handle, verification_code=wrong)
    assert (response.status_code, "code is not right" in alert_of(response)) == (400, True)
    assert not ExternalIdentity.objects.exists()


@pytest.mark.security("S33")
def test_a_number_that_nobody_has_is_told_the_same_and_sent_nothing(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    pages = []
    for mobile in (MOBILE, OTHER_MOBILE):
        handle = open_link_page(browser, source, wechat)
        submit(browser, handle, mobile=mobile)
        page = browser.get(f"/login?transaction={handle}").content.decode()
        pages.append(re.sub(r'value="[^"]*"|transaction=[\w-]+|13[89]\*\*\*\*5678|\d+ seconds?', "", page))
    assert pages[0] == pages[1]
    assert [message.target for message in Inbox.messages] == ["+8613812345678"]


@pytest.mark.security("S33")
def test_a_number_that_no_message_reaches_is_told_the_same_whoever_has_it(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    user.mobile = "+99912345678"
    user.save()
    answers = []
    for mobile in ("+99912345678", "+99912345679"):
        handle = open_link_page(browser, source, wechat)
        answers.append(submit(browser, handle, mobile=mobile).status_code)
    assert answers == [400, 400]


def test_what_is_no_number_is_asked_for_again(browser: Browser, source: Upstream, wechat: WeChatStub) -> None:
    handle = open_link_page(browser, source, wechat)
    response = submit(browser, handle, mobile="one-three-eight")
    assert (response.status_code, "no mobile number" in alert_of(response)) == (400, True)
    assert not Inbox.messages


def test_another_number_may_be_used(browser: Browser, source: Upstream, user: User, wechat: WeChatStub) -> None:
    handle = open_link_page(browser, source, wechat)
    submit(browser, handle, mobile=OTHER_MOBILE)
    submit(browser, handle, other_number="1")
    assert 'name="mobile"' in browser.get(f"/login?transaction={handle}").content.decode()


def test_few_codes_are_sent_for_one_sign_in(browser: Browser, source: Upstream, wechat: WeChatStub) -> None:
    Upstream.objects.update(unknown_user=UnknownUser.BIND_OR_REGISTER)
    handle = open_link_page(browser, source, wechat)
    statuses = []
    for number in range(6):
        submit(browser, handle, other_number="1")
        statuses.append(submit(browser, handle, mobile=f"1381234567{number}").status_code)
    assert statuses == [302] * 5 + [429]
    assert len(Inbox.messages) == 5


@pytest.mark.security("S30")
@pytest.mark.parametrize("again", [False, True], ids=["first code", "next code"])
def test_each_text_message_costs_a_puzzle_of_its_own(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub, again: bool
) -> None:
    handle = open_link_page(browser, source, wechat)
    address, data = f"/login?transaction={handle}", {"transaction": handle, "mobile": MOBILE}
    now = timezone.now()
    if again:
        assert submit(browser, handle, mobile=MOBILE).status_code == 302
        Inbox.messages.clear()
        now, data = now + timedelta(minutes=2), {"transaction": handle, "resend": "1"}
    with time_machine.travel(now, tick=False):
        page = browser.post(address, data)
        assert (page.status_code, alert_of(page)) == (200, "")
        fields = re.findall(r'name="(mobile|resend|verification_code)"', page.content.decode())
        assert fields == ["resend" if again else "mobile"]
        wrong = browser.post(address, {**data, **answer_to(page, off_by=9)})
        assert (wrong.status_code, "did not fit" in alert_of(wrong)) == (400, True)
        assert token_in(wrong) not in ("", token_in(page))
        strangers = Browser()
        foreign = strangers.post(f"/login?transaction={open_link_page(strangers, source, wechat)}", {"mobile": MOBILE})
        assert browser.post(address, {**data, **answer_to(foreign)}).status_code == 400
        assert Inbox.messages == []
        right = answer_to(wrong)
        assert browser.post(address, {**data, **right}).status_code == 302
        assert [message.target for message in Inbox.messages] == ["+8613812345678"]
        reused = {"transaction": handle, "resend": "1", **right}
        assert (browser.post(address, reused).status_code, len(Inbox.messages)) == (400, 1)


def test_a_newcomer_is_registered(browser: Browser, source: Upstream, tenant: Tenant, wechat: WeChatStub) -> None:
    Upstream.objects.update(unknown_user=UnknownUser.BIND_OR_REGISTER)
    handle = open_link_page(browser, source, wechat)
    submit(browser, handle, mobile=OTHER_MOBILE)
    response = submit(browser, handle, verification_code=Inbox.messages[-1].verification_code)
    assert response["Location"] == "/account"
    user = User.objects.get()
    assert (user.mobile, user.phone_number_verified, user.nick_name) == (f"+86{OTHER_MOBILE}", True, "小明")


def test_an_unknown_person_is_linked_by_password(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    handle = open_link_page(browser, source, wechat)
    page = browser.get(f"/login?transaction={handle}&way=password").content.decode()
    assert 'name="password"' in page
    wrong = submit(browser, handle, "password", identifier="alice", password="wrong")
    assert wrong.status_code == 400
    assert not ExternalIdentity.objects.exists()
    response = submit(browser, handle, "password", identifier="alice", password=PASSWORD)
    assert response["Location"] == "/account"
    assert ExternalIdentity.objects.get().user == user
    assert SSOSession.objects.get().amr == ["pwd"]


@pytest.mark.security("S29")
def test_no_password_links_where_passwords_are_switched_off(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    SessionPolicy.objects.filter(tenant=user.tenant).update(sign_in_by_password=False, sign_in_by_sms=True)
    handle = open_link_page(browser, source, wechat)
    assert "way=password" not in browser.get(f"/login?transaction={handle}").content.decode()
    assert submit(browser, handle, "password", identifier="alice", password=PASSWORD).status_code == 400
    row = LoginTransaction.objects.get()
    step = SignInStep(
        handle, browser.client.cookies["monban_browser"].value, RequestContext(tenant=user.tenant), row=row
    )
    with pytest.raises(NotAllowed):
        federated.link_by_password(step, identifier="alice", password=PASSWORD)
    assert not ExternalIdentity.objects.exists()


@pytest.mark.security("S28")
def test_linking_by_a_stolen_password_does_not_go_round_the_second_factor(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    """Whoever has a stolen password has an account at WeChat too: it is no factor, and nothing is linked yet."""
    SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
    handle = open_link_page(browser, source, wechat)
    submit(browser, handle, "password", identifier="alice", password=PASSWORD)
    assert not SSOSession.objects.exists()
    assert not ExternalIdentity.objects.exists()
    browser.get(f"/login?transaction={handle}")
    submit(browser, handle, verification_code=Inbox.messages[-1].verification_code)
    assert SSOSession.objects.get().amr == ["pwd", "sms"]
    assert ExternalIdentity.objects.get().user == user


def test_a_user_with_another_account_there_is_told_so(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub
) -> None:
    make_link(user, source, subject="u-other", openid="o-other")
    handle = open_link_page(browser, source, wechat)
    response = submit(browser, handle, "password", identifier="alice", password=PASSWORD)
    assert (response.status_code, "linked already" in alert_of(response)) == (400, True)
    assert not browser.is_signed_in


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_source_that_is_switched_off_meanwhile_links_nobody(
    browser: Browser, source: Upstream, user: User, wechat: WeChatStub, method: str
) -> None:
    handle = open_link_page(browser, source, wechat)
    Upstream.objects.update(is_active=False)
    if method == "get":
        assert browser.get(f"/login?transaction={handle}")["Location"] == "/login?notice=over"
    else:
        assert submit(browser, handle, "password", identifier="alice", password=PASSWORD).status_code == 400
    assert not ExternalIdentity.objects.exists()


def test_a_nickname_is_text_and_never_markup(browser: Browser, source: Upstream, wechat: WeChatStub) -> None:
    handle = open_link_page(browser, source, wechat, Person(openid="o-1", nickname="<b>x</b>"))
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page


# The account page ------------------------------------------------------------------------------------------


def test_the_account_page_lists_and_unlinks(browser: Browser, source: Upstream, user: User) -> None:
    link = make_link(user, source, subject="u-1", nickname="小明")
    browser.sign_in(user)
    page = browser.get("/account").content.decode()
    assert "WeChat" in page
    assert "小明" in page
    assert browser.post(f"/account/links/{link.public_id}/unlink")["Location"] == "/account"
    assert not ExternalIdentity.objects.exists()
    assert "小明" not in browser.get("/account").content.decode()


@pytest.mark.security("S36")
@pytest.mark.parametrize("public_id", ["somebody else's", "unknown", "é"])
def test_only_ones_own_link_is_taken_away(browser: Browser, source: Upstream, user: User, public_id: str) -> None:
    link = make_link(make_user(user.tenant), source, subject="u-2")
    browser.sign_in(user)
    asked = link.public_id if public_id == "somebody else's" else public_id
    assert browser.post(f"/account/links/{asked}/unlink").status_code == 404
    assert ExternalIdentity.objects.exists()


def test_the_last_way_to_sign_in_stays(browser: Browser, source: Upstream, user: User, wechat: WeChatStub) -> None:
    link = make_link(user, source, subject="u-1")
    go_there_and_back(browser, source, wechat)
    User.objects.update(password="!", phone_number_verified=False, email="", email_key="")
    response = browser.post(f"/account/links/{link.public_id}/unlink")
    assert "last way to sign in" in browser.get(response["Location"]).content.decode()
    assert ExternalIdentity.objects.exists()
    make_link(user, make_upstream(user.tenant, kind="alipay"), subject="2088")
    browser.post(f"/account/links/{link.public_id}/unlink")
    assert ExternalIdentity.objects.get().kind == "alipay"


def test_unlinking_needs_a_token_of_our_own_form(source: Upstream, user: User) -> None:
    link = make_link(user, source, subject="u-1")
    browser = Browser(HttpClient(enforce_csrf_checks=True))
    assert browser.post(f"/account/links/{link.public_id}/unlink").status_code == 403


# A new upstream is one file --------------------------------------------------------------------------------


@pytest.fixture
def third() -> Iterator[type[Connector]]:
    """What one more file in identity/federation/connectors would hold."""

    @base.register
    class Quay(Connector):
        kind = "quay"
        label = "Quay"
        social_type = "quay"
        refused_code = "PARAM.0011"
        code_parameter = "ticket"
        asked: ClassVar[list[str]] = []

        def namespace(self, account: Account) -> str:
            return f"quay:{account.client_id}"  # its ids are only unique in one of its sites

        def check(self, account: Account) -> None:
            if not account.secret:
                raise ValueError("The secret is missing.")

        def authorization_url(self, account: Account, *, redirect_uri: str, state: str) -> str:
            return f"https://quay.example/ask?state={state}&redirect_uri={redirect_uri}"

        def ask(self, account: Account, *, authorization_code: str, deadline: float) -> ExternalPerson:
            self.asked.append(authorization_code)
            if authorization_code != "good":
                raise self.refuse("unknown ticket")
            return ExternalPerson(subject="7", openid="", nickname="Third")

    yield Quay
    del base._connectors["quay"]


def test_a_third_connector_needs_nothing_but_its_own_file(
    browser: Browser, tenant: Tenant, user: User, third: type[Any]
) -> None:
    first = make_upstream(tenant, kind="quay", client_id="north", on_sign_in_page=True)
    second = make_upstream(tenant, kind="quay", client_id="south", on_sign_in_page=True, for_apps=False)
    assert browser.get("/login").content.decode().count(">Quay</a>") == 2
    sent = press(browser, first)
    handle = handle_in(come_back(browser, first, sent["state"], ticket="good"))
    submit(browser, handle, "password", identifier="alice", password=PASSWORD)
    assert browser.is_signed_in
    link = ExternalIdentity.objects.get()
    assert (link.kind, link.namespace, link.subject, link.nickname) == ("quay", "quay:north", "7", "Third")
    assert "Quay" in browser.get("/account").content.decode()
    # S45: the same id at another of its sites is somebody else.
    stranger = Browser()
    sent = press(stranger, second)
    assert "transaction=" in come_back(stranger, second, sent["state"], ticket="good")["Location"]
    assert not stranger.is_signed_in
    sent = press(stranger, second)
    assert "refused" in come_back(stranger, second, sent["state"], ticket="bad")["Location"]
    assert third.asked == ["good", "good", "bad"]
