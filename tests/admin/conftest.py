"""Two tenants full of rows, and operators who are signed in with a confirmed password."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import models
from django.test import Client as Browser
from django.utils import timezone

from cas_saml.models import PersistentName, SAMLSession, ServiceTicket
from identity import audit, cookies, crypto
from identity.keyring import keys
from identity.models import (
    AttemptCounter,
    AuditBatch,
    AuthenticatorApp,
    Captcha,
    Delivery,
    Device,
    FactorCeremony,
    LoginTransaction,
    MessageGateway,
    MessageTemplate,
    Passkey,
    PasswordHistory,
    PendingRequest,
    RecoveryCode,
    SentMessage,
    SessionParticipant,
    SpentNonce,
    SSOSession,
    SSOTicket,
    Tenant,
    TrustedDevice,
    UniqueAttributeValue,
    User,
    UserCount,
    VerificationCode,
)
from identity.operator_groups import TENANT_OPERATORS
from oidc_provider.models import (
    AccessToken,
    AuthorizationCode,
    ClientAssertion,
    Consent,
    HostApplication,
    RefreshToken,
)
from tests.factories import (
    make_account,
    make_app_organization,
    make_application,
    make_attribute,
    make_membership,
    make_operator,
    make_organization,
    make_role,
    make_tenant,
    make_user,
)
from tests.factories.cas import make_cas_service
from tests.factories.oidc import make_client, make_session
from tests.factories.saml import make_saml_keys, make_service_provider
from tests.factories.upstreams import make_link, make_upstream


def sign_in(user: User, *, is_confirmed: bool = True) -> Browser:
    """A browser that holds a session of this user, its password confirmed a moment ago."""
    handle = crypto.new_handle()
    make_session(
        user,
        handle_hash=crypto.hash_handle(handle, purpose="sso_session.handle"),
        password_confirmed_at=timezone.now() if is_confirmed else None,
    )
    host = user.tenant.domains.get().host
    browser = Browser(headers={"host": host})
    browser.cookies[cookies.SESSION] = handle
    return browser


def operator_of(tenant: Tenant, group: str = TENANT_OPERATORS) -> User:
    """An operator with the rights of this group."""
    operator = make_operator(tenant)
    operator.groups.add(Group.objects.get(name=group))
    return operator


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant()


@pytest.fixture
def operator(tenant: Tenant) -> User:
    return operator_of(tenant)


@pytest.fixture
def browser(operator: User) -> Browser:
    return sign_in(operator)


def fill(tenant: Tenant, secrets: dict[str, str]) -> list[models.Model]:
    """Make at least one row of every model for the tenant. Values in `secrets` may never be shown."""
    now = timezone.now()
    later = now + timedelta(hours=1)
    user = make_user(
        tenant, user_name=f"person-of-{tenant.code}", mobile=secrets["mobile"], identity_number=secrets["id"]
    )
    organization = make_organization(tenant)
    membership = make_membership(user, organization)
    attribute = make_attribute(tenant, "badge", is_unique=True)
    application = make_application(tenant)
    app_organization = make_app_organization(application)
    account = make_account(user, application)
    role = make_role(application, account)
    session = make_session(user, handle_hash=crypto.hash_handle(secrets["handle"]))
    client = make_client(application, api_scopes={f"read-{tenant.code}": "https://api.example"})
    cas_service = make_cas_service(application)
    make_saml_keys(tenant)  # ready ones, as the page of a provider shows the certificate
    service_provider = make_service_provider(application)
    bound = {"user": user, "application": client, "session": session, "expires": later, "scope": "openid"}
    hashed = crypto.keyed_hash(secrets["handle"], purpose="test")
    audit.record("user:update", tenant=tenant, actor=user, target=user, changes={"name": ["before", "after"]})
    keys.ensure(tenant=tenant, use="sig", alg="ES256")
    upstream = make_upstream(tenant, secret=secrets["handle"])
    link = make_link(user, upstream, subject="u-1", openid="o-1")
    gateway = MessageGateway.objects.create(
        tenant=tenant,
        name="Texts",
        channel="sms",
        kind="aliyun",
        secret_sealed=crypto.seal(secrets["handle"], purpose="messagegateway.secret"),
    )
    rows: list[models.Model] = [
        tenant,
        user,
        organization,
        membership,
        attribute,
        application,
        app_organization,
        account,
        role,
        role.members.get(),
        session,
        client,
        client.api_scopes.get(),
        UniqueAttributeValue.objects.create(definition=attribute, user=user, value_index=hashed),
        SessionParticipant.objects.create(
            session=session, application=application, protocol="oidc", registration=client.client_id
        ),
        LoginTransaction.objects.create(
            tenant=tenant, handle_hash=hashed, channel="browser", binding_hash=hashed, expires_at=later
        ),
        VerificationCode.objects.create(
            tenant=tenant,
            user=user,
            purpose="verify_email",
            channel="email",
            target_index=hashed,
            code_hash=hashed,
            expires_at=later,
        ),
        Captcha.objects.create(
            tenant=tenant,
            token_hash=hashed,
            binding_hash=hashed,
            solution_sealed=crypto.seal('{"x": 237, "key": null}', purpose="captcha.solution"),
            expires_at=later,
        ),
        AttemptCounter.objects.create(tenant=tenant, kind="source", key_hash=hashed, window_started_at=now),
        SpentNonce.objects.create(tenant=tenant, key_hash=hashed, expires_at=later),
        AuthenticatorApp.objects.create(
            user=user, name="Telephone", secret_sealed=crypto.seal(secrets["handle"], purpose="authenticatorapp.secret")
        ),
        RecoveryCode.objects.create(user=user, code_hash=hashed),
        Passkey.objects.create(
            user=user, name="Laptop", credential_id=crypto.new_handle(), public_key=secrets["handle"], algorithm=-7
        ),
        TrustedDevice.objects.create(
            user=user, handle_hash=hashed, binding_hash=hashed, epoch=user.epoch, user_agent="Firefox", expires_at=later
        ),
        FactorCeremony.objects.create(
            tenant=tenant,
            user=user,
            purpose="enrol_totp",
            bound_to=f"session {session.pk}",
            secret_sealed=crypto.seal(secrets["handle"], purpose="factorceremony.secret"),
            expires_at=later,
        ),
        Device.objects.create(
            tenant=tenant, user=user, fingerprint_index=hashed, first_seen_at=now, last_seen_at=now, agent="App 1"
        ),
        SSOTicket.objects.create(
            tenant=tenant,
            ticket_hash=hashed,
            session=session,
            application=application,
            client_id=client.client_id,
            device_index=hashed,
            created_at=now,
            expires_at=later,
        ),
        PasswordHistory.objects.create(user=user, password=user.password),
        PendingRequest.objects.create(
            handle_hash=hashed,
            binding_hash=hashed,
            tenant=tenant,
            path="/oauth2/authorize",
            payload_sealed=crypto.seal("{}", purpose="test"),
            expires_at=later,
        ),
        Delivery.objects.create(
            tenant=tenant, kind="test", url="https://rp.example/", jti=crypto.new_handle(), next_attempt_at=now
        ),
        UserCount.objects.get_or_create(tenant=tenant)[0],
        upstream,
        link,
        link.accounts.get(),
        gateway,
        MessageTemplate.objects.create(
            tenant=tenant, channel="sms", purpose="login", language="en", text="{tenant}: {code}"
        ),
        SentMessage.objects.create(
            tenant=tenant,
            user=user,
            gateway=gateway,
            gateway_name="Texts",
            channel="sms",
            purpose="login",
            target_masked="138****2222",
            attempt=1,
            state="sent",
            duration_ms=12,
        ),
        AuditBatch.objects.create(tenant=tenant, number=1, row_count=1, hash="0" * 64),
        *tenant.keys.all(),
        AuthorizationCode.objects.create(code_hash=hashed, auth_time=now, redirect_uri="https://rp.example/", **bound),
        AccessToken.objects.create(token_checksum=hashed, **bound),
        RefreshToken.objects.create(token_checksum=hashed, auth_time=now, **bound),
        Consent.objects.create(user=user, client=client, scopes=["openid"], granted_at=now),
        HostApplication.objects.create(tenant=tenant, client=client),
        ClientAssertion.objects.create(client=client, jti_hash=hashed, expires_at=later),
        cas_service,
        ServiceTicket.objects.create(
            ticket_hash=hashed,
            tenant=tenant,
            service=cas_service,
            session=session,
            service_url=cas_service.url,
            created_at=now,
            expires_at=later,
            consumed_at=now,
            session_index_sealed=crypto.seal("ST-0", purpose="serviceticket.session_index"),
        ),
        service_provider,
        SAMLSession.objects.create(
            tenant=tenant,
            service_provider=service_provider,
            session=session,
            session_index=f"_index-{tenant.code}",
            name_id_format="unspecified",
            name_id=user.user_name,
        ),
        PersistentName.objects.create(service_provider=service_provider, user=user, value=f"name-{tenant.code}"),
    ]
    from identity.models import AuditEvent

    rows.append(AuditEvent.objects.filter(tenant=tenant).order_by("-pk")[0])
    return rows


__all__ = ["SSOSession", "fill", "operator_of", "sign_in"]
