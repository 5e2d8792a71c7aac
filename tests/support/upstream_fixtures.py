"""The providers on loopback, and the sources of a tenant that lead to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from identity.models import Tenant, Upstream
from tests.factories.upstreams import make_upstream
from tests.support.upstreams import AlipayStub, WeChatStub, private_key_text, public_key_text, serving

__all__ = ["alipay", "alipay_source", "wechat", "wechat_source"]


@pytest.fixture
def wechat() -> Iterator[WeChatStub]:
    with serving(WeChatStub("wx520c15f417810387")) as provider:
        assert isinstance(provider, WeChatStub)
        yield provider


@pytest.fixture
def alipay() -> Iterator[AlipayStub]:
    with serving(AlipayStub("2014072300007148")) as provider:
        assert isinstance(provider, AlipayStub)
        yield provider


def wechat_source(tenant: Tenant, provider: WeChatStub, **values: Any) -> Upstream:
    """The tenant's WeChat."""
    values = {"client_id": provider.client_id, "api_url": provider.url, "is_internal": True, **values}
    return make_upstream(tenant, secret=provider.secret, **values)


def alipay_source(tenant: Tenant, provider: AlipayStub, **values: Any) -> Upstream:
    """The tenant's Alipay."""
    return make_upstream(
        tenant,
        secret=private_key_text(provider.app_key),
        **{
            "kind": "alipay",
            "client_id": provider.client_id,
            "public_key": public_key_text(provider.own_key),
            "api_url": f"{provider.url}/gateway.do",
            "is_internal": True,
            **values,
        },
    )
