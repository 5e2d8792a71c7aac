"""Deploy checks of the server as a whole."""

from ipaddress import ip_network

from django.conf import settings
from django.test import override_settings

from config import checks
from config.local_secrets import GENERATED_PREFIX


@override_settings(SECRET_KEY=f"{GENERATED_PREFIX}{'x' * 60}")
def test_a_generated_secret_key_does_not_pass_the_deploy_check() -> None:
    assert [message.id for message in checks.check_secret_key(None)] == ["config.E001"]


@override_settings(SECRET_KEY="y" * 60)
def test_a_chosen_secret_key_passes_the_deploy_check() -> None:
    assert checks.check_secret_key(None) == []


@override_settings(EMAIL_BACKEND="django.core.mail.backends.console.EmailBackend")
def test_printing_mails_does_not_pass_the_deploy_check() -> None:
    assert [message.id for message in checks.check_mail(None)] == ["config.W101"]


@override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend")
def test_sending_mails_passes_the_deploy_check() -> None:
    assert checks.check_mail(None) == []


def test_a_server_without_a_proxy_in_front_does_not_pass_the_deploy_check() -> None:
    assert [message.id for message in checks.check_proxy(None)] == ["config.W102"]
    with override_settings(IDENTITY={**settings.IDENTITY, "trusted_proxies": (ip_network("10.0.0.0/8"),)}):
        assert checks.check_proxy(None) == []
