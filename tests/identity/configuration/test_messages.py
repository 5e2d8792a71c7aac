"""Gateways, texts and limits from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from identity import policies
from identity.configuration.files import apply_documents
from identity.configuration.shapes import ConfigError
from identity.messaging import messages
from identity.models import MessageGateway, MessageTemplate, Tenant

pytestmark = pytest.mark.django_db

GATEWAY: dict[str, Any] = {
    "name": "texts",
    "channel": "sms",
    "kind": "aliyun",
    "settings": {"access_key_id": "k", "sign_name": "s", "template_codes": {"*": "SMS_1"}},
    "secret": "a secret of this test",
}
TEXT = {"channel": "sms", "purpose": "login", "language": "ja", "text": "{code}"}


def apply(tmp_path: Path, **sections: Any) -> list[str]:
    document = {"tenant": {"code": "north", **sections.pop("tenant", {})}, **sections}
    changes = apply_documents([document], base_dir=tmp_path)
    return [line for change in changes for line in change.lines()]


def test_gateways_texts_and_limits_are_brought_to_what_the_file_says(tmp_path):
    (tmp_path / "secret").write_text("a secret from a file\n", encoding="utf-8")
    policy = {"message_policy": {"allowed_countries": "CN HK", "per_tenant_day": 500}}
    given = {
        "tenant": policy,
        "message_gateways": [{**GATEWAY, "secret": {"file": "secret"}, "position": 3}],
        "message_templates": [TEXT],
    }
    assert apply(tmp_path, **given) == [
        "+ tenant north",
        "~ tenant north message_policy: allowed_countries: '' -> 'CN HK'",
        "~ tenant north message_policy: per_tenant_day: 10000 -> 500",
        "+ message gateway texts",
        "+ message template sms login ja",
    ]
    assert apply(tmp_path, **given) == []
    row = MessageGateway.objects.get()
    assert (row.is_active, row.position, messages.facts_of(row).secret) == (True, 3, "a secret from a file")
    changed = {**GATEWAY, "enabled": False, "position": 4}
    assert apply(tmp_path, message_gateways=[changed], message_templates=[{**TEXT, "text": "{code}!"}]) == [
        "~ message gateway texts: is_active: True -> False",
        "~ message gateway texts: position: 3 -> 4",
        "~ message gateway texts: secret: '•••' -> '•••'",
        "~ message template sms login ja: text: '{code}' -> '{code}!'",
    ]
    assert MessageTemplate.objects.get().text == "{code}!"
    assert policies.message_policy(Tenant.objects.get(code="north")).per_tenant_day == 500


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ({"message_gateways": [{**GATEWAY, "colour": "red"}]}, "message_gateways[0].colour"),
        ({"message_gateways": [{**GATEWAY, "kind": "pigeon"}]}, "message_gateways[0].kind"),
        ({"message_gateways": [{**GATEWAY, "settings": []}]}, "message_gateways[0].settings"),
        (
            {"message_gateways": [{**GATEWAY, "settings": {"access_key_id": 5}}]},
            "message_gateways[0].access_key_id",
        ),
        ({"message_gateways": [{**GATEWAY, "position": "first"}]}, "message_gateways[0].position"),
        ({"message_gateways": [GATEWAY, {**GATEWAY, "kind": "hook"}]}, "message_gateways[1].kind"),
        ({"message_gateways": [{**GATEWAY, "address": "http://10.0.0.1"}]}, "message_gateways[0].base_url"),
        ({"message_templates": [{**TEXT, "text": "none"}]}, "message_templates[0].text"),
        ({"message_templates": [{**TEXT, "language": "fr"}]}, "message_templates[0].language"),
        ({"tenant": {"message_policy": {"country": "Japan"}}}, "tenant.message_policy.country"),
        ({"tenant": {"message_policy": {"colour": "red"}}}, "tenant.message_policy.colour"),
    ],
    ids=range(11),
)
def test_what_cannot_be_is_refused_by_its_place(tmp_path, sections, place):
    with pytest.raises(ConfigError) as caught:
        apply(tmp_path, **sections)
    assert caught.value.path == place
    assert not Tenant.objects.exists()
