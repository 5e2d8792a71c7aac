"""docs/examples/phone_app.py walks every road of the state machine against a running server."""

from __future__ import annotations

import importlib.util
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt
import pytest
from django.core.management import call_command
from django.utils import timezone

from identity import copies, crypto
from identity.models import MFAMode, PasswordPolicy, SessionPolicy, SSOSession, Tenant, UnknownUser, User
from oidc_provider.clients import tenant_rights
from oidc_provider.clients.authentication import SECRET_PURPOSE
from oidc_provider.models import Client
from tests.factories import PASSWORD, make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.factories.oidc import CLIENT_SECRET, make_client
from tests.sdk_api.mobile import Inbox, inbox, true_x
from tests.support.upstream_fixtures import alipay, alipay_source, wechat, wechat_source
from tests.support.upstreams import AlipayStub, Person, WeChatStub

__all__ = ["alipay", "inbox", "wechat"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inbox")]

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "phone_app.py"
MOBILE, OTHER_MOBILE = "13812345678", "13912345678"
NEW_PASSWORD = "Amber-Meadow-77"
SOMEBODY = Person(openid="o-1", unionid="u-1", user_id="2088702746395409")


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("phone_app", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tenant(live_server: Any) -> Tenant:
    """The tenant that the running server is for, with a user who can do everything."""
    tenant = make_tenant(host=live_server.url.partition("//")[2], allow_registration=True)
    make_keys(tenant)
    make_keys(tenant, use="enc", alg="RSA-OAEP-256")
    make_user(
        tenant,
        user_name="alice",
        name="Alice Example",
        mobile=MOBILE,
        phone_number_verified=True,
        email="a@example.org",
    )
    return tenant


@pytest.fixture
def client(tenant: Tenant) -> Client:
    """The app's: a public client, that only names it."""
    return make_client(
        make_application(tenant, code="app"), token_endpoint_auth_method="none", is_native=True, may_use_sdk=True
    )


class Answers:
    """Stands for the person with the phone: solves puzzles, reads messages, thinks of passwords."""

    has_time = False

    def solve(self, puzzle: dict[str, Any]) -> int:
        return true_x(puzzle["token"])  # looked up: a test has no eyes

    def read_code(self, mobile: str) -> str:
        message = Inbox.messages[-1]
        assert message.target.endswith(mobile)
        return message.verification_code

    def new_password(self, rule: dict[str, Any]) -> str:
        assert rule == {} or rule["minLength"] <= len(NEW_PASSWORD) <= rule["maxLength"]
        return NEW_PASSWORD


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def app(example: ModuleType, live_server: Any, client: Client, answers: Answers) -> Any:
    return example.App(
        live_server.url,
        client.client_id,
        solve=answers.solve,
        read_code=answers.read_code,
        new_password=answers.new_password,
        has_time=lambda: answers.has_time,
    )


def change(**values: Any) -> None:
    """The tenant's policies, from now on."""
    for model in (SessionPolicy, PasswordPolicy):
        own = {name: value for name, value in values.items() if name in {field.name for field in model._meta.fields}}
        if own:
            model.objects.update(**own)
    copies.clear()


def back_end(example: ModuleType, live_server: Any, client: Client) -> Any:
    client.api_scopes.add(*tenant_rights.chosen(client.tenant, ["auth_api"]))
    return example.BackEnd(live_server.url, client.client_id, CLIENT_SECRET)


# Roads in --------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.5.1", "OneAccess-3.2.9.1", "OneAccess-3.2.9.2", "OneAccess-3.2.5.5")
def test_password_profile_and_sign_out(example: ModuleType, app: Any) -> None:
    with pytest.raises(example.Refused, match=r"LOGIN\.0002"):
        app.sign_in_by_password("alice", "wrong")
    assert app.sign_in_by_password("alice", PASSWORD) == "SUCCESS"
    assert (app.profile()["name"], app.walked) == ("Alice Example", ["SUCCESS"])
    first = jwt.decode(app.id_token, options={"verify_signature": False})
    assert jwt.decode(app.refresh_id_token(), options={"verify_signature": False})["sid"] == first["sid"]
    app.sign_out()
    assert SSOSession.objects.get().end_reason == "signed_out"
    with pytest.raises(example.Refused, match=r"PARAM\.0030"):
        app.profile()


@pytest.mark.spec("OneAccess-3.2.5.2")
def test_text_message(app: Any) -> None:
    assert app.sign_in_by_message(MOBILE) == "SUCCESS"
    assert app.profile()["user_name"] == "alice"


@pytest.mark.spec("OneAccess-3.2.3.1")
def test_registration_and_a_change_of_the_profile(app: Any) -> None:
    assert app.register(OTHER_MOBILE, user_name="bob", name="Bob Example") == "SUCCESS"
    assert app.profile()["mobile"] == OTHER_MOBILE
    app.update_profile(name="Robert Example")
    assert app.profile()["name"] == "Robert Example"


@pytest.mark.spec("OneAccess-3.2.7.1", "OneAccess-3.2.7.2")
@pytest.mark.parametrize("has_time", [False, True], ids=["skip", "change"])
def test_a_password_that_will_expire_soon(app: Any, answers: Answers, has_time: bool) -> None:
    change(max_age_days=30, warn_days=7)
    User.objects.update(password_changed_at=timezone.now() - timedelta(days=28))
    answers.has_time = has_time
    assert app.sign_in_by_password("alice", PASSWORD) == "SUCCESS"
    assert app.walked == ["PASSWORD_WARN", "SUCCESS"]
    assert app.sign_in_by_password("alice", NEW_PASSWORD if has_time else PASSWORD) == "SUCCESS"


@pytest.mark.spec("OneAccess-3.2.7.2")
def test_a_password_that_has_expired(example: ModuleType, app: Any) -> None:
    User.objects.update(password_must_change=True)
    assert app.sign_in_by_password("alice", PASSWORD) == "SUCCESS"
    assert app.walked == ["PASSWORD_EXPIRED", "SUCCESS"]
    with pytest.raises(example.Refused, match=r"LOGIN\.0002"):
        app.sign_in_by_password("alice", PASSWORD)


@pytest.mark.spec("OneAccess-3.2.8.1", "OneAccess-3.2.8.2")
def test_a_second_factor(app: Any) -> None:
    change(mfa_mode=MFAMode.ALWAYS)
    assert app.sign_in_by_password("alice", PASSWORD) == "SUCCESS"
    assert app.walked == ["MFA_AUTH", "SUCCESS"]
    assert SSOSession.objects.get().amr == ["pwd", "sms"]


@pytest.mark.spec("OneAccess-3.2.7.3")
def test_a_forgotten_password(app: Any) -> None:
    app.reset_password(MOBILE)
    assert app.session_token == ""
    assert app.sign_in_by_password("alice", NEW_PASSWORD) == "SUCCESS"


def test_a_policy_that_refuses(app: Any, client: Client) -> None:
    client.catalogue_entry.access = "assigned"
    client.catalogue_entry.save()
    assert app.sign_in_by_password("alice", PASSWORD) == "ACCESS_DENIED"
    assert app.session_token == ""


# WeChat and Alipay -----------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.5.3", "OneAccess-3.2.6.1", "OneAccess-3.2.6.3", "OneAccess-3.2.6.4")
def test_wechat_linked_listed_used_and_unlinked(app: Any, tenant: Tenant, wechat: WeChatStub) -> None:
    wechat_source(tenant, wechat)
    assert app.sign_in_by_wechat(wechat.code_for(SOMEBODY), mobile=MOBILE) == "SUCCESS"
    assert (app.walked, app.profile()["user_name"]) == (["SOCIAL_BIND", "SUCCESS"], "alice")
    assert app.sign_in_by_wechat(wechat.code_for(SOMEBODY)) == "SUCCESS"
    assert app.walked == ["SOCIAL_BIND", "SUCCESS", "SUCCESS"]
    (account,) = app.linked_accounts()
    assert account["socialType"] == "weixin"
    app.unlink(account)
    assert app.linked_accounts() == []


@pytest.mark.spec("OneAccess-3.2.5.4", "OneAccess-3.2.6.2")
def test_alipay_and_a_new_user(app: Any, tenant: Tenant, alipay: AlipayStub) -> None:
    alipay_source(tenant, alipay, unknown_user=UnknownUser.BIND_OR_REGISTER)
    assert app.sign_in_by_alipay(alipay.code_for(SOMEBODY), mobile=OTHER_MOBILE) == "SUCCESS"
    assert app.walked == ["USER_REGISTER", "SUCCESS"]
    assert app.profile()["mobile"] == OTHER_MOBILE
    assert [account["socialType"] for account in app.linked_accounts()] == ["alipay"]


@pytest.mark.security("S28")
def test_linking_does_not_lead_round_the_second_factor(app: Any, tenant: Tenant, wechat: WeChatStub) -> None:
    wechat_source(tenant, wechat)
    assert app.sign_in_by_wechat(wechat.code_for(SOMEBODY), mobile=MOBILE) == "SUCCESS"
    app.walked.clear()
    change(mfa_mode=MFAMode.ALWAYS)
    assert app.sign_in_by_wechat(wechat.code_for(SOMEBODY)) == "SUCCESS"
    assert app.walked == ["MFA_AUTH", "SUCCESS"]


# Into a web application ------------------------------------------------------------------------------------


@pytest.fixture
def web(example: ModuleType, live_server: Any, tenant: Tenant) -> Iterator[Any]:
    """A web application that runs."""
    client = make_client(make_application(tenant, code="web"))
    application = example.WebApplication(back_end(example, live_server, client))
    application.client_id = client.client_id
    thread = threading.Thread(target=application.server.serve_forever, daemon=True)
    thread.start()
    yield application
    application.server.shutdown()
    application.server.server_close()
    thread.join(5)


@pytest.mark.spec("OneAccess-3.2.10.1", "OneAccess-3.2.10.2", "OneAccess-3.2.10.3")
def test_the_walk_ends_in_a_web_application(
    example: ModuleType, live_server: Any, app: Any, client: Client, web: Any
) -> None:
    own = back_end(example, live_server, make_client(client.catalogue_entry))
    assert app.sign_in_by_password("alice", PASSWORD) == "SUCCESS"
    old, device = app.session_token, app.device_facts()
    app.session_token = own.refresh(old, device)["session_token"]
    with pytest.raises(example.Refused, match=r"PARAM\.0023"):
        own.ticket(old, device)
    ticket = own.ticket(app.session_token, device, client_id=web.client_id)
    assert "Hello Alice Example." in example.enter(web.url, ticket, device)
    with pytest.raises(Exception, match="403"):
        example.enter(web.url, ticket, device)
    app.sign_out()
    with pytest.raises(example.Refused, match=r"PARAM\.0023"):
        own.ticket(app.session_token or old, device, client_id=web.client_id)


def test_the_example_can_be_used_by_hand(
    example: ModuleType,
    live_server: Any,
    client: Client,
    web: Any,
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    confidential = make_client(client.catalogue_entry)
    for each in (confidential, Client.objects.get(client_id=web.client_id)):
        back_end(example, live_server, each)
    monkeypatch.setenv("MONBAN", live_server.url)
    monkeypatch.setenv("CLIENT_ID", client.client_id)
    for name, value in {"APP_ID": confidential.client_id, "WEB_ID": web.client_id}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.replace("_ID", "_SECRET"), CLIENT_SECRET)
    tokens: list[str] = []
    fetch = example.fetch

    def watched(method: str, url: str, *arguments: Any) -> Any:
        answer = fetch(method, url, *arguments)
        if url.endswith("/captcha"):
            tokens.append(answer["token"])
        return answer

    def typed(question: str) -> str:
        if question.startswith("Pixels"):
            picture = Path(question.removesuffix(": ").split()[-1], "picture.png")
            assert picture.read_bytes().startswith(b"\x89PNG")
            return str(true_x(tokens[-1]))
        return answers.read_code(MOBILE)

    monkeypatch.setattr(example, "fetch", watched)
    monkeypatch.setattr("builtins.input", typed)
    example.main(["message", MOBILE])
    printed = capsys.readouterr().out
    assert "Way: SUCCESS" in printed
    assert "Hello Alice Example." in printed
    assert printed.endswith("Signed out.\n")


def test_the_readme_starts_the_clients_of_the_example_file(db: None) -> None:
    call_command("apply_config", str(EXAMPLE.with_name("phone-app.yaml")), verbosity=0)
    readme = (EXAMPLE.parents[2] / "README.md").read_text()
    command = readme.partition("## Sign in from a phone app")[2].partition("```sh")[2].partition("```")[0]
    named = dict(re.findall(r"([A-Z]+_(?:ID|SECRET))=(\S+)", command))
    assert set(named) == {"CLIENT_ID", "APP_ID", "APP_SECRET", "WEB_ID", "WEB_SECRET"}
    assert Client.objects.get(client_id=named["CLIENT_ID"]).may_use_sdk
    for role in ("APP", "WEB"):
        client = Client.objects.get(client_id=named[f"{role}_ID"])
        assert client.secret_hash in crypto.keyed_hashes(named[f"{role}_SECRET"], purpose=SECRET_PURPOSE)
        assert client.audiences == {"auth_api": "tenant-api"}
