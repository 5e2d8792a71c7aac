"""GET /api/v2/sdk/country-codes against the contract's own example."""

from __future__ import annotations

import pytest

from tests.factories import make_tenant
from tests.sdk_api.phone import make_phone
from tests.support.contracts import read_contract

pytestmark = [pytest.mark.django_db, pytest.mark.spec("OneAccess-3.2.4.3")]


def example() -> dict[str, object]:
    operation = read_contract("sdk_api")["paths"]["/api/v2/sdk/country-codes"]["get"]
    found: dict[str, object] = operation["responses"]["200"]["content"]["application/json"]["example"]
    return found


def test_the_documented_entries_come_first_and_to_the_letter():
    body = make_phone(make_tenant()).get("country-codes").json()
    documented = example()["phoneAreaCodeDefinitions"]
    assert body["phoneAreaCodeDefinitions"][:5] == documented
    assert {**body, "phoneAreaCodeDefinitions": documented} == example()


def test_others_follow_by_name_with_rules_of_their_own():
    entries = make_phone(make_tenant()).get("country-codes").json()["phoneAreaCodeDefinitions"]
    japan = next(entry for entry in entries if entry["countryCode"] == "JP")
    assert japan == {
        "areaCode": "81",
        "displayMapping": {"zh-TW": "日本", "en": "Japan", "zh-CN": "日本"},
        "countryCode": "JP",
        "mobileRegex": japan["mobileRegex"],
        "areaCodeSuffixes": [],
    }
    assert japan["mobileRegex"].startswith(r"^(\+81){1}\-?0{0,1}(?:")
    assert [entry["countryCode"] for entry in entries[5:8]] == ["AX", "AL", "DZ"]


@pytest.mark.parametrize(
    ("values", "country"),
    [({"time_zone": "Asia/Tokyo"}, "JP"), ({"message_policy": {"country": "HK"}}, "HK"), ({}, "CN")],
    ids=["time-zone", "policy", "default"],
)
def test_the_preferred_country_is_the_tenants(values, country):
    assert make_phone(make_tenant(**values)).get("country-codes").json()["preferredAreaCode"] == country
