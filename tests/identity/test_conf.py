"""Settings of the identity app and what the system checks say of wrong ones."""

from dataclasses import FrozenInstanceError
from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.conf import settings
from django.test import override_settings

from identity import checks
from identity.conf import IdentityConf, conf, current


def ids(**changes):
    with override_settings(IDENTITY={**settings.IDENTITY, **changes}):
        return sorted({message.id for message in checks.check_settings(None)})


def deploy_ids(**changes):
    with override_settings(IDENTITY={**settings.IDENTITY, **changes}):
        return [message.id for message in checks.check_deployment(None)]


def test_the_settings_of_the_suite_pass():
    assert ids() == []


def test_the_accessor_follows_overridden_settings():
    with override_settings(IDENTITY={**settings.IDENTITY, "process_cache_seconds": 1}):
        assert conf.process_cache_seconds == 1
    assert conf.process_cache_seconds == IdentityConf().process_cache_seconds == 5


def test_the_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        current().process_cache_seconds = 1  # type: ignore[misc]


def test_an_unknown_setting_is_reported_by_name():
    with override_settings(IDENTITY={**settings.IDENTITY, "proces_cache_seconds": 1}):
        assert [message.msg for message in checks.check_settings(None)] == [
            'IDENTITY["proces_cache_seconds"] is not a setting.'
        ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("process_cache_seconds", "5"),
        ("process_cache_seconds", True),
        ("debug", 1),
        ("key_encryption_keys", ("text",)),
        ("blind_index_key", (b"x" * 32,)),
        ("trusted_proxies", ("10.0.0.0/8",)),
        ("key_rotation_interval", 90),
        ("delivery_retry_delays", (10,)),
        ("shared_host", 1),
    ],
)
def test_a_wrong_type_is_refused(name, value):
    assert ids(**{name: value}) == ["identity.E002"]


def test_a_wrong_type_does_not_show_the_value():
    with override_settings(IDENTITY={**settings.IDENTITY, "hash_peppers": ("a secret in text",)}):
        assert "a secret in text" not in str(checks.check_settings(None))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("process_cache_seconds", 6),
        ("process_cache_seconds", -1),
        ("rsa_key_bits", 1024),
        ("retired_key_lifetime", timedelta(0)),
        ("outbound_total_timeout_seconds", 0),
        ("worker_parallel_deliveries", 0),
        ("outbound_ca_file", "/nowhere/ca.pem"),
        ("delivery_retry_delays", (timedelta(seconds=-1),)),
    ],
)
def test_a_value_out_of_range_is_refused(name, value):
    assert ids(**{name: value}) == ["identity.E003"]


@pytest.mark.parametrize("name", ["key_encryption_keys", "hash_peppers"])
def test_a_missing_list_of_secrets_is_refused(name):
    assert ids(**{name: ()}) == ["identity.E004"]


def test_a_missing_index_key_is_refused():
    assert ids(blind_index_key=b"") == ["identity.E004"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("key_encryption_keys", (b"x" * 16,)), ("hash_peppers", (b"x" * 31,)), ("blind_index_key", b"x" * 31)],
)
def test_a_short_secret_is_refused(name, value):
    assert ids(**{name: value}) == ["identity.E005"]


def test_one_secret_for_two_uses_is_refused():
    assert ids(blind_index_key=settings.IDENTITY["hash_peppers"][0]) == ["identity.E006"]


@pytest.mark.parametrize(
    "changes",
    [
        {"delivery_lease": timedelta(seconds=5)},
        {"delivery_retry_delays": ()},
        {"delivery_retry_delays": (timedelta(minutes=1), timedelta(seconds=1))},
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes):
    assert ids(**changes) == ["identity.E007"]


@pytest.mark.security("S32")
def test_trusting_every_address_as_a_proxy_is_reported_on_deployment():
    assert deploy_ids() == []
    assert deploy_ids(trusted_proxies=(ip_network("0.0.0.0/0"),)) == ["identity.W101"]
    assert deploy_ids(trusted_proxies=(ip_network("10.0.0.0/8"),)) == []


@pytest.mark.parametrize("name", ["sms_senders", "email_senders"])
def test_codes_on_the_terminal_stop_a_deployment_outside_development(name):
    assert deploy_ids(**{name: (checks.CONSOLE_SENDER,)}) == ["identity.E008"]
    assert deploy_ids(**{name: (checks.CONSOLE_SENDER,), "debug": True}) == []
