"""Rows of identity, one module for each noun of the house plan."""

from identity.models.accounts import AccountType, AppAccount
from identity.models.applications import Application, ApplicationAccess, AppOrganization
from identity.models.attributes import AttributeDefinition, AttributeEditor, AttributeTarget, AttributeType
from identity.models.audit import AppendOnlyError, AuditBatch, AuditEvent, AuditOutcome
from identity.models.credentials import AttemptCounter, CounterKind, PasswordHistory
from identity.models.delivery import Delivery, DeliveryState, PendingRequest
from identity.models.devices import Device
from identity.models.factors import (
    AuthenticatorApp,
    CeremonyPurpose,
    FactorCeremony,
    FactorKind,
    Passkey,
    RecoveryCode,
    TOTPAlgorithm,
    TrustedDevice,
)
from identity.models.ids import new_public_id
from identity.models.keys import KeyPair, KeyState, KeyUse, SecretFingerprint
from identity.models.messages import MessageGateway, MessageTemplate, SentMessage, SentState
from identity.models.nonces import SpentNonce
from identity.models.organizations import Membership, Organization, OrganizationCategory
from identity.models.policies import MessagePolicy, MFAMode, PasswordPolicy, SessionPolicy, SignInMethod
from identity.models.roles import AppRole, AppRoleMember
from identity.models.sessions import (
    FrontChannelState,
    SessionEndReason,
    SessionKind,
    SessionParticipant,
    SSOSession,
    SSOTicket,
)
from identity.models.tenants import Tenant, TenantDomain
from identity.models.upstreams import ExternalAccount, ExternalIdentity, UnknownUser, Upstream
from identity.models.users import Gender, IdentityType, UniqueAttributeValue, User, UserCount, UserType
from identity.models.verification import (
    Captcha,
    LoginState,
    LoginTransaction,
    VerificationChannel,
    VerificationCode,
    VerificationPurpose,
)

__all__ = [
    "AccountType",
    "AppAccount",
    "AppOrganization",
    "AppRole",
    "AppRoleMember",
    "AppendOnlyError",
    "Application",
    "ApplicationAccess",
    "AttemptCounter",
    "AttributeDefinition",
    "AttributeEditor",
    "AttributeTarget",
    "AttributeType",
    "AuditBatch",
    "AuditEvent",
    "AuditOutcome",
    "AuthenticatorApp",
    "Captcha",
    "CeremonyPurpose",
    "CounterKind",
    "Delivery",
    "DeliveryState",
    "Device",
    "ExternalAccount",
    "ExternalIdentity",
    "FactorCeremony",
    "FactorKind",
    "FrontChannelState",
    "Gender",
    "IdentityType",
    "KeyPair",
    "KeyState",
    "KeyUse",
    "LoginState",
    "LoginTransaction",
    "MFAMode",
    "Membership",
    "MessageGateway",
    "MessagePolicy",
    "MessageTemplate",
    "Organization",
    "OrganizationCategory",
    "Passkey",
    "PasswordHistory",
    "PasswordPolicy",
    "PendingRequest",
    "RecoveryCode",
    "SSOSession",
    "SSOTicket",
    "SecretFingerprint",
    "SentMessage",
    "SentState",
    "SessionEndReason",
    "SessionKind",
    "SessionParticipant",
    "SessionPolicy",
    "SignInMethod",
    "SpentNonce",
    "TOTPAlgorithm",
    "Tenant",
    "TenantDomain",
    "TrustedDevice",
    "UniqueAttributeValue",
    "UnknownUser",
    "Upstream",
    "User",
    "UserCount",
    "UserType",
    "VerificationChannel",
    "VerificationCode",
    "VerificationPurpose",
    "new_public_id",
]
