"""`manage.py apply_config`: what a file makes, that it makes it once, and what it refuses by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from cas_saml.checks import check_plain_http
from cas_saml.models import CASService
from identity import crypto, registry
from identity.configuration import applications, people
from identity.configuration import tenants as tenant_section
from identity.configuration.plan import APPLICATION_SECTIONS
from identity.context import RequestContext
from identity.directory import lists, tenants
from identity.directory.profiles import Profile
from identity.models import (
    Application,
    AuditEvent,
    Membership,
    Organization,
    PasswordPolicy,
    SessionPolicy,
    Tenant,
    User,
)
from identity.passwords import credentials
from identity.sso import access
from oidc_provider import configuration as oidc_config
from oidc_provider.clients.authentication import SECRET_PURPOSE
from oidc_provider.models import Client
from tests.factories import make_operator, make_tenant

pytestmark = pytest.mark.django_db

PASSWORD = "Quiet-Harbour-41"
SECRET = "a-client-secret-of-22-ch"
FULL = f"""
tenant:
  code: acme
  name: Acme
  domains: [id.acme.example, login.acme.example]
  language: ja
  password_policy: {{min_length: 10}}
  session_policy: {{mfa_mode: always}}
attributes:
  - {{name: badge, label: Badge, unique: true, editable_by: operator}}
  - {{name: city, required: false}}
organizations:
  - {{code: hq, name: HQ, category: company}}
  - {{code: lab, name: Lab, parent: hq}}
users:
  - user_name: alice
    password: "{PASSWORD}"
    name: Alice
    email: a@example.org
    email_verified: true
    mobile: "13812345678"
    birth_date: 1990-01-31
    organization: lab
    organizations: [hq]
    extension: {{badge: "7"}}
    address: {{locality: Kyoto}}
  - {{user_name: olga, operator: true, superuser: true}}
  - {{user_name: bob, enabled: false}}
api_scopes:
  - {{name: "wiki:read", audience: "https://wiki.example.org/api", description: Read the wiki}}
applications:
  - name: Wiki
    code: wiki
    access: assigned
    internal: true
    skip_consent: true
    roles: [{{code: reader, name: Reader}}]
    accounts: [{{user_name: alice, account_name: a.lice, roles: [reader]}}]
    clients:
      - client_id: wiki
        client_secret: "{SECRET}"
        dialect: standard
        token_endpoint_auth_method: client_secret_basic
        redirect_uris: ["https://wiki.example.org/cb"]
        post_logout_redirect_uris: []
        grant_types: [authorization_code, refresh_token]
        response_types: [code]
        id_token_signed_response_alg: ES256
        backchannel_logout_uri: "https://wiki.example.org/logout"
        web_origins: ["https://wiki.example.org"]
        api_scopes: ["wiki:read"]
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Apply YAML text, or data, and answer what was printed."""

    def apply(content: Any, *options: str) -> str:
        file = tmp_path / "config.yaml"
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        call_command("apply_config", str(file), *options)
        return capsys.readouterr().out

    return apply


def with_change(change: Any) -> dict[str, Any]:
    """The full file with one change made to it."""
    document: dict[str, Any] = yaml.safe_load(FULL)
    change(document)
    return document


def test_a_file_makes_everything_it_names(run: Any) -> None:
    printed = run(FULL)
    tenant = Tenant.objects.get(code="acme")
    assert (tenant.name, tenant.language, tenant.is_default) == ("Acme", "ja", False)
    assert [domain.host for domain in tenant.domains.all()] == ["id.acme.example", "login.acme.example"]
    assert (tenant.password_policy.min_length, tenant.session_policy.mfa_mode) == (10, "always")
    alice = lists.get_user_by_name(tenant=tenant, user_name="alice")
    assert credentials.check_password(user=alice, password=PASSWORD)
    assert (alice.mobile, alice.email_verified, str(alice.birth_date)) == ("+8613812345678", True, "1990-01-31")
    assert (alice.extension, alice.address) == ({"badge": "7"}, {"locality": "Kyoto"})
    assert dict(Membership.objects.filter(user=alice).values_list("organization__code", "is_primary")) == {
        "lab": True,
        "hq": False,
    }
    olga, bob = (User.objects.get(user_key=name) for name in ("olga", "bob"))
    assert (olga.is_staff, olga.is_superuser, bob.is_active) == (True, True, False)
    wiki = Application.objects.get(code="wiki")
    assert (wiki.name, wiki.access, wiki.is_internal, wiki.skip_consent) == ("Wiki", "assigned", True, True)
    access.check_application(application=wiki, user=alice)
    profile = Profile(user=alice, application=wiki)
    assert (profile.account_name, profile.roles) == ("a.lice", ("reader",))
    client = Client.objects.get(client_id="wiki")
    assert (client.tenant, client.catalogue_entry) == (tenant, wiki)
    assert client.id_token_signed_response_alg == "ES256"
    assert client.audiences == {"wiki:read": "https://wiki.example.org/api"}
    assert "+ application wiki client wiki\n" in printed
    applied = AuditEvent.objects.get(event_type="config:apply")
    assert (applied.actor_type, applied.tenant) == ("system", tenant)


def test_applying_it_again_changes_nothing_and_says_so(run: Any) -> None:
    run(FULL)
    before = AuditEvent.objects.count()
    assert run(FULL) == "Nothing to change.\n"
    assert AuditEvent.objects.count() == before


def test_a_dry_run_prints_the_difference_and_writes_nothing(run: Any) -> None:
    printed = run(FULL, "--dry-run")
    assert printed.startswith("+ tenant acme\n~ tenant acme password_policy: min_length: 8 -> 10\n")
    assert printed.endswith("created, 3 changed. Dry run: nothing was written.\n")
    assert not Tenant.objects.exists()
    assert not AuditEvent.objects.exists()
    run(FULL)
    changed = with_change(lambda document: document["applications"][0].update(name="Our wiki"))
    assert run(changed, "--dry-run") == (
        "~ application wiki: name: 'Wiki' -> 'Our wiki'\n0 created, 1 changed. Dry run: nothing was written.\n"
    )
    assert Application.objects.get(code="wiki").name == "Wiki"


def change_each_section(document: dict[str, Any]) -> None:
    document["tenant"].update(name="Acme Corp", domains=["login.acme.example"])
    document["attributes"][0]["label"] = "Badge number"
    document["organizations"][1].update(name="Laboratory", parent="")
    document["users"][0].update(mobile="13812349999", user_type="intern", organization="hq", organizations=[])
    document["users"][1]["superuser"] = False
    document["users"][2]["enabled"] = True
    document["api_scopes"][0]["description"] = "Read"
    document["applications"][0]["roles"][0]["name"] = "Readers"
    document["applications"][0]["accounts"][0].update(roles=[], enabled=False)
    document["applications"][0]["clients"][0].update(redirect_uris=["https://new.example.org/"])


def test_a_change_in_each_section_is_told_with_personal_values_masked(run: Any) -> None:
    run(FULL)
    make_operator(make_tenant(), is_superuser=True)  # the last one stays
    top = Organization.objects.get(code="hq")
    assert run(with_change(change_each_section)).splitlines() == [
        "~ tenant acme: name: 'Acme' -> 'Acme Corp'",
        "~ tenant acme: domains: ['id.acme.example', 'login.acme.example'] -> ['login.acme.example']",
        "~ attribute badge: label: 'Badge' -> 'Badge number'",
        "~ organization lab: name: 'Lab' -> 'Laboratory'",
        f"~ organization lab: parent_id: '{top.public_id}' -> ''",
        "~ user alice: mobile: '+86138****5678' -> '+86138****9999'",
        "~ user alice: user_type: '' -> 'intern'",
        "~ user alice: organizations: ['hq', 'lab (primary)'] -> ['hq (primary)']",
        "~ user olga: is_superuser: True -> False",
        "~ user bob: enabled: False -> True",
        "~ API scope wiki:read: description: 'Read the wiki' -> 'Read'",
        "~ application wiki role reader: name: 'Reader' -> 'Readers'",
        "~ application wiki account alice: is_active: '***' -> '***'",
        "~ application wiki account alice: roles: ['reader'] -> []",
        "~ application wiki client wiki: redirect_uris: ['https://wiki.example.org/cb'] -> ['https://new.example.org/']",
        "0 created, 11 changed.",
    ]
    assert run(with_change(change_each_section)) == "Nothing to change.\n"


@pytest.mark.security("S50")
@pytest.mark.parametrize("change", [{"superuser": False}, {"operator": False, "superuser": False}, {"enabled": False}])
def test_a_file_does_not_take_the_last_superuser_away(run: Any, change: dict[str, bool]) -> None:
    run(FULL)
    with pytest.raises(CommandError, match=r"users\[1\]: RIGHT\.0003 This is the last superuser"):
        run(with_change(lambda document: document["users"][1].update(change)))
    olga = User.objects.get(user_name="olga")
    assert (olga.is_active, olga.is_staff, olga.is_superuser) == (True, True, True)


@pytest.mark.security("S41")
def test_passwords_and_secrets_are_never_printed_or_kept_in_clear(run: Any) -> None:
    printed = run(FULL)
    new_secret = "another-secret-of-22-chars"
    changed = with_change(lambda document: document["applications"][0]["clients"][0].update(client_secret=new_secret))
    printed += run(changed)
    assert "client_secret" in printed
    kept = " ".join(str(event.__dict__) for event in AuditEvent.objects.all())
    for secret in (PASSWORD, SECRET, new_secret):
        assert secret not in printed
        assert secret not in kept
    stored = Client.objects.get(client_id="wiki").secret_hash
    assert crypto.matches_keyed_hash(new_secret, stored, purpose=SECRET_PURPOSE)


def test_a_password_in_the_file_is_for_the_first_time_only(run: Any) -> None:
    run(FULL)
    tenant = Tenant.objects.get(code="acme")
    alice = lists.get_user_by_name(tenant=tenant, user_name="alice")
    credentials.set_password(user=alice, password="Silent-Bridge-58", context=RequestContext(tenant=tenant))
    assert run(FULL) == "Nothing to change.\n"
    assert credentials.check_password(user=User.objects.get(pk=alice.pk), password="Silent-Bridge-58")


def test_secrets_may_stand_in_files_of_their_own(run: Any, tmp_path: Path) -> None:
    (tmp_path / "wiki.secret").write_text(f"{SECRET}\n")
    run(with_change(lambda d: d["applications"][0]["clients"][0].update(client_secret={"file": "wiki.secret"})))
    assert run(FULL) == "Nothing to change.\n"


def test_the_tenant_may_be_named_by_its_code_alone_and_default_is_the_default(run: Any) -> None:
    run("tenant: default\n")
    assert tenants.find_default() == Tenant.objects.get(code="default")
    assert run("tenant: default\nusers: [{user_name: alice}]\n") == "+ user alice\n1 created, 0 changed.\n"
    run("tenant: acme\n---\ntenant: default\nusers: [{user_name: bob}]\n")
    assert User.objects.get(user_key="bob").tenant.code == "default"
    assert Tenant.objects.get(code="acme").is_default is False


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda d: d.update(user=[]), "user: is not known here."),
        (lambda d: d.pop("tenant"), "tenant: is missing. Name the tenant by its code."),
        (lambda d: d["tenant"].update(domain="x"), "tenant.domain: is not known here."),
        (lambda d: d["tenant"].update(domains=["http://x"]), "tenant.host: Enter a valid value."),
        (lambda d: d["tenant"].update(domains="x"), "tenant.domains: is not a list."),
        (lambda d: d["tenant"].update(code=""), "tenant.code: is not a text. Write it between quotation marks."),
        (
            lambda d: d["tenant"]["password_policy"].update(min_length="ten"),
            "tenant.password_policy.min_length: “ten” value must be an integer.",
        ),
        (
            lambda d: d["tenant"]["password_policy"].update(tenant=1),
            "tenant.password_policy.tenant: is not known here.",
        ),
        (lambda d: d["attributes"][0].update(pattern="["), "attributes[0].pattern: This is not a regular expression."),
        (lambda d: d["attributes"][0].update(is_unique=1), "attributes[0].is_unique: is not known here."),
        (lambda d: d["organizations"][1].update(code="a b"), "organizations[1]: ORG.0014 Invalid organization code."),
        (
            lambda d: d["organizations"].reverse(),
            'organizations[0].parent: There is no organization "hq"; name it before what lies below it.',
        ),
        (lambda d: d["users"][0].update(username="x"), "users[0].username: is not known here."),
        (lambda d: d["users"][0].update(password="short"), "users[0]: PWD.0007 Password must be 10 to 64 characters."),
        (lambda d: d["users"][0].update(password=123456789012), None),
        (lambda d: d["users"][1].update(email="a@example.org"), "users[1]: USER.0031 Email address already exists."),
        (lambda d: d["users"][1].update(operator="yes"), "users[1].operator: is neither true nor false."),
        (lambda d: d["users"][0].update(organization="x"), "users[0]: ORG.0001 Organization does not exist."),
        (
            lambda d: d["applications"][0].update(redirect="x"),
            "applications[0].redirect: is not known here.",
        ),
        (
            lambda d: d["applications"][0].update(access="nobody"),
            "applications[0].access: Value 'nobody' is not a valid choice.",
        ),
        (
            lambda d: d["applications"][0]["accounts"].append({"user_name": "eve"}),
            'applications[0].accounts[1].user_name: There is no user "eve".',
        ),
        (
            lambda d: d["applications"][0]["accounts"][0].update(roles=["x"]),
            'applications[0].accounts[0].roles: There is no role "x" in this application.',
        ),
        (
            lambda d: d["applications"][0]["clients"][0].update(redirect_urls=[]),
            "applications[0].clients[0].redirect_urls: is not known here.",
        ),
        (
            lambda d: d["applications"][0]["clients"][0].update(redirect_uris=["http://wiki.example.org/cb"]),
            None,
        ),
        (
            lambda d: d["applications"][0]["clients"][0].update(api_scopes=["x"]),
            'applications[0].clients[0].api_scopes: There is no API scope "x" in this tenant.',
        ),
        (lambda d: d["applications"][0].update(clients={}), "applications[0].clients: is not a list."),
        (lambda d: d.update(users=["alice"]), "users[0]: is not a list of `name: value` lines."),
    ],
)
def test_what_cannot_be_is_refused_with_its_place_and_nothing_is_applied(
    run: Any, change: Any, refusal: str | None
) -> None:
    with pytest.raises(CommandError) as caught:
        run(with_change(change))
    text, _newline, ending = str(caught.value).partition("\n")
    if refusal is not None:
        assert text == refusal
    assert ending == "Nothing was changed."
    assert PASSWORD not in text
    assert not Tenant.objects.exists()


def test_a_tenant_is_closed_and_opened_by_the_file(run: Any) -> None:
    run("tenant: {code: acme, domains: [id.acme.example]}\n")
    assert run("tenant: {code: acme, enabled: false}\n") == (
        "~ tenant acme: enabled: True -> False\n0 created, 1 changed.\n"
    )
    assert tenants.find_by_host("id.acme.example") is None
    run("tenant: {code: acme, enabled: true}\n")
    assert tenants.find_by_host("id.acme.example") is not None
    run("tenant: {code: other, enabled: false}\n")
    assert not Tenant.objects.get(code="other").is_active


def test_a_tenant_without_a_domain_is_warned_of_and_progress_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "tenant: {code: a, domains: [a.example]}\n---\ntenant: b\n---\ntenant: b\nusers: [{user_name: u}]\n"
    )
    call_command("apply_config", str(file))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1 of 3 documents, 1 changes."
    assert all(line.startswith("Warning: tenant b has no domain") for line in lines[1:-1])
    assert len(lines) > 2
    assert lines[-1] == "3 of 3 documents, 3 changes."


def test_each_tenant_is_a_transaction_and_the_end_tells_how_many_were_applied(run: Any) -> None:
    file = "tenant: a\n---\ntenant: b\n---\ntenant: b\nusers: [{user_name: u, email: none}]\n---\ntenant: c\n"
    with pytest.raises(CommandError) as caught:
        run(file)
    assert str(caught.value).startswith("document 3: users[0]")
    assert str(caught.value).endswith("\nThe 1 documents before were applied.")
    assert list(Tenant.objects.values_list("code", flat=True)) == ["a"]
    # What is wrong with the form of any document is told before the first one is applied.
    with pytest.raises(CommandError, match="Nothing was changed"):
        run("tenant: x\n---\ntenant: y\nuser: []\n")
    assert Tenant.objects.count() == 1
    assert run("tenant: x\n---\ntenant: y\n", "--dry-run").startswith("+ tenant x\n+ tenant y\n")
    assert Tenant.objects.count() == 1


@pytest.mark.security("S36")
def test_a_client_of_another_tenant_is_not_named(run: Any) -> None:
    run(FULL)
    document = yaml.safe_load(FULL)
    document["tenant"] = {"code": "other"}
    with pytest.raises(CommandError) as caught:
        run(document)
    text = str(caught.value)
    assert text.startswith("applications[0].clients[0].client_id: ")
    assert "acme" not in text
    assert "wiki" not in text.partition(": ")[2]


@pytest.mark.parametrize("section", ["cas_services", "saml_service_providers"])
def test_a_section_whose_app_is_not_built_is_refused_by_name(
    run: Any, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert section in APPLICATION_SECTIONS
    monkeypatch.delitem(registry._config_sections, section)
    with pytest.raises(CommandError) as caught:
        run(with_change(lambda document: document["applications"][0].update({section: []})))
    assert str(caught.value) == (
        f'applications[0].{section}: Section "{section}" is not supported by this installation.\nNothing was changed.'
    )
    assert not Tenant.objects.exists()


@pytest.mark.parametrize("length", [1, 21])
def test_a_short_client_secret_is_refused_without_showing_it(run: Any, length: int) -> None:
    """Decision 9."""
    secret = "q" * length
    with pytest.raises(CommandError) as caught:
        run(with_change(lambda document: document["applications"][0]["clients"][0].update(client_secret=secret)))
    text = str(caught.value)
    assert text.startswith("applications[0].clients[0].client_secret: ")
    assert "22" in text
    assert "qq" not in text
    assert not Client.objects.exists()


def test_a_confidential_client_needs_its_secret_in_the_file(run: Any) -> None:
    with pytest.raises(CommandError, match=r"^applications\[0\].clients\[0\].client_secret: is missing."):
        run(with_change(lambda document: document["applications"][0]["clients"][0].pop("client_secret")))
    run(FULL)
    assert run(with_change(lambda d: d["applications"][0]["clients"][0].pop("client_secret"))) == "Nothing to change.\n"


@pytest.mark.security("S37")
def test_a_client_does_not_change_hands(run: Any) -> None:
    run(FULL)
    other = {
        "tenant": "other",
        "applications": [{"code": "o", "clients": [{"client_id": "wiki", "client_secret": SECRET}]}],
    }
    with pytest.raises(CommandError, match=r"client_id: is taken by another application."):
        run(other)
    assert Client.objects.get(client_id="wiki").tenant.code == "acme"


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ("tenant: a\ntenant: b\n", 'config.yaml, line 2: has "tenant" twice.'),
        ("tenant: [\n", "config.yaml, line 2: "),
        ("tenant: !!python/object/apply:os.system [true]\n", "config.yaml, line 1: could not determine a constructor"),
        ("tenant: \x07\n", "config.yaml: is not YAML."),
        ("- tenant\n", "the file: is not a list of `name: value` lines."),
        ("tenant: a\n---\nusers: []\n", "document 2: tenant: is missing."),
    ],
)
def test_what_is_not_plain_yaml_is_refused(run: Any, content: str, refusal: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(content)
    assert str(caught.value).startswith(refusal)
    assert not Tenant.objects.exists()


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: FileNotFoundError"):
        call_command("apply_config", str(tmp_path / "missing.yaml"))


# docs/config.md --------------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "config.md"


def test_the_documents_own_example_works(run: Any, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "wiki").write_text(SECRET)
    example = DOCUMENT.read_text(encoding="utf-8").split("## A whole file\n\n```yaml\n")[1].split("```")[0]
    run(example.replace('password: "…"', f'password: "{PASSWORD}"'))
    assert run(example) == "Nothing to change.\n"
    assert Client.objects.get().client_id == "wiki"


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("tenant", [*tenant_section.TENANT_KEYS, "code", "domains", "default", "password_policy", "session_policy"]),
        ("tenant", [field.name for field in PasswordPolicy._meta.fields if field.name not in ("id", "tenant")]),
        ("tenant", [field.name for field in SessionPolicy._meta.fields if field.name not in ("id", "tenant")]),
        ("attributes", [*tenant_section.DEFINITION_KEYS, *tenant_section.DEFINITION_FLAGS, "name"]),
        ("organizations", ["code", "name", "category", "parent"]),
        ("users", [*people.USER_KEYS, "password", "password_must_change", "organization", "organizations"]),
        ("users", ["enabled", "operator", "superuser"]),
        ("api_scopes", ["name", "audience", "description"]),
        ("applications", [*applications.APPLICATION_COLUMNS, "code", "roles", "accounts", *APPLICATION_SECTIONS]),
        ("clients", [*oidc_config._COLUMNS, "client_id", "client_secret", "api_scopes", "tenant_api"]),
    ],
)
def test_the_document_names_everything_that_a_section_takes(section: str, names: list[str]) -> None:
    part = DOCUMENT.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    assert [name for name in names if f"`{name}`" not in part and f"`{name}: " not in part] == []


def test_a_file_sets_the_grace_and_the_flags_of_a_client_and_a_service_without_tls(run: Any) -> None:
    def change(document: dict[str, Any]) -> None:
        application = document["applications"][0]
        client = application["clients"][0]
        del client["token_endpoint_auth_method"]
        client |= {
            "refresh_token_grace_seconds": 0,
            "flags": {"plain_http": True},
            "redirect_uris": ["http://wiki.corp.example/cb"],
        }
        application["cas_services"] = [{"url": "http://wiki.corp.example/cas", "allows_plain_http": True}]

    run(with_change(change))
    client = Client.objects.get()
    assert (client.refresh_token_grace_seconds, client.flags) == (0, {"plain_http": True})
    assert client.token_endpoint_auth_method == "client_secret"
    service = CASService.objects.get()
    assert service.allows_plain_http
    assert [message.id for message in check_plain_http(None, databases=["default"])] == ["cas_saml.W001"]
    assert "nothing" in run(with_change(change)).lower()


@pytest.mark.parametrize("is_internal", [True, False])
def test_a_service_without_tls_takes_the_switch_and_the_mark(run: Any, is_internal: bool) -> None:
    def change(document: dict[str, Any]) -> None:
        application = document["applications"][0]
        application["internal"] = is_internal
        entry = {"url": "http://wiki.corp.example/cas"} | ({} if is_internal else {"allows_plain_http": True})
        application["cas_services"] = [entry]

    with pytest.raises(CommandError):
        run(with_change(change))


def test_a_file_says_how_new_clients_sign_and_changes_no_client_that_is_there(run: Any) -> None:
    def content(algorithm: str, *names: str) -> dict[str, Any]:
        clients = [
            {"client_id": name, "client_secret": SECRET, "redirect_uris": ["https://app.example/callback"]}
            for name in names
        ]
        tenant = {"code": "acme", "id_token_signed_response_alg": algorithm}
        return {"tenant": tenant, "applications": [{"code": "wiki", "clients": clients}]}

    run(content("ES256", "first"))
    run(content("RS256", "first", "second"))
    found = dict(Client.objects.values_list("client_id", "id_token_signed_response_alg"))
    assert found == {"first": "ES256", "second": "RS256"}
    with pytest.raises(CommandError, match="id_token_signed_response_alg"):
        run(content("none"))
