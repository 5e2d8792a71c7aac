"""Upstream identity sources, and the links of people to them."""

from __future__ import annotations

from itertools import count
from typing import Any

from identity import crypto
from identity.models import ExternalAccount, ExternalIdentity, Tenant, Upstream, User

_numbers = count(1)


def make_upstream(tenant: Tenant, *, secret: str = "", **values: Any) -> Upstream:
    """A source for phone apps, WeChat unless `kind` says otherwise; `secret` is given in clear."""
    values = {"kind": "wechat", "client_id": f"wx{next(_numbers):016x}", **values}
    sealed = crypto.seal(secret or "0123456789abcdef0123456789abcdef", purpose="upstream.secret")
    return Upstream.objects.create(tenant=tenant, secret_sealed=sealed, **values)


def make_link(
    user: User, upstream: Upstream, *, subject: str = "", openid: str = "", **values: Any
) -> ExternalIdentity:
    """A user's account at a provider."""
    scope = {"tenant": user.tenant, "namespace": values.pop("namespace", upstream.kind)}
    link = ExternalIdentity.objects.create(user=user, kind=upstream.kind, subject=subject, **scope, **values)
    if openid:
        ExternalAccount.objects.create(identity=link, user=user, client_id=upstream.client_id, openid=openid, **scope)
    return link
