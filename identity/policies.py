"""The policies of a tenant. One that never chose any has the defaults."""

from __future__ import annotations

from identity.models import MessagePolicy, PasswordPolicy, SessionPolicy, SignInMethod, Tenant


def password_policy(tenant: Tenant) -> PasswordPolicy:
    """Return what a password must be here, how long it lives and when guessing locks."""
    try:
        return tenant.password_policy
    except PasswordPolicy.DoesNotExist:
        return PasswordPolicy(tenant=tenant)


def session_policy(tenant: Tenant) -> SessionPolicy:
    """Return how long sign-ins last here and when a second factor is needed."""
    try:
        return tenant.session_policy
    except SessionPolicy.DoesNotExist:
        return SessionPolicy(tenant=tenant)


def allows_factor(tenant: Tenant, name: str) -> bool:
    """Return whether the tenant allows this kind of second factor."""
    names = session_policy(tenant).factors_allowed.split()
    return not names or name in names


def sign_in_methods(tenant: Tenant) -> tuple[str, ...]:
    """Return by what the tenant lets people begin a sign-in on its page, one at least; passkeys stand beside them."""
    policy = session_policy(tenant)
    switches = {
        SignInMethod.PASSWORD: policy.sign_in_by_password,
        SignInMethod.SMS: policy.sign_in_by_sms,
        SignInMethod.EMAIL: policy.sign_in_by_email,
    }
    return tuple(method.value for method, is_on in switches.items() if is_on)


def message_policy(tenant: Tenant) -> MessagePolicy:
    """Return where codes may be sent from here, and how many."""
    try:
        return tenant.message_policy
    except MessagePolicy.DoesNotExist:
        return MessagePolicy(tenant=tenant)
