"""Text messages through Aliyun's short message service (Dysmsapi, version 2017-05-25, action SendSms).

Requests carry the V3 signature, ACS3-HMAC-SHA256, as Aliyun's "V3 request structure and signature" describes it. The
older RPC signature (HMAC-SHA1) is not built: Aliyun's own page of it says that it is discontinued, and every endpoint
of this service takes the new one.

Parameters travel in the query, as the service's metadata place them, so the body is empty. Texts are approved by Aliyun
beforehand: what is sent is the code of a template and its variables. An answer of 200 tells by `Code` whether the
message was taken. Of a refusal only `Code` and `RequestId` are kept, because `Message` may repeat the whole request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identity.messaging.senders.base import (
    GatewayFacts,
    GatewayKind,
    Message,
    NotSent,
    Receipt,
    Setting,
    check_address,
    post,
    read_text,
)
from identity.models import VerificationChannel, VerificationPurpose
from identity.outbound import Response

ALGORITHM = "ACS3-HMAC-SHA256"
ACTION = "SendSms"
VERSION = "2017-05-25"
DEFAULT_ADDRESS = "https://dysmsapi.aliyuncs.com"

_MAINLAND = "+86"
_ANY = "*"
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SAFE_ANSWER = re.compile(r"[A-Za-z0-9._^:-]{1,100}")


class AliyunSender:
    """One account, signature and set of templates."""

    def __init__(self, facts: GatewayFacts) -> None:
        self.facts = facts

    def send(self, message: Message) -> Receipt:
        """Call SendSms. Raises NotSent."""
        parameters = self._parameters(message)
        query = canonical_query(parameters)
        headers = {
            "host": urlsplit(self.facts.address).netloc,
            "x-acs-action": ACTION,
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-acs-date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": VERSION,
        }
        headers["authorization"] = authorization(
            query=query, headers=headers, key_id=self.facts.settings["access_key_id"], secret=self.facts.secret
        )
        answer = post(f"{self.facts.address.rstrip('/')}/?{query}", facts=self.facts, headers=headers, body=b"")
        return _judge(answer)

    def _parameters(self, message: Message) -> dict[str, str]:
        own = self.facts.settings
        is_mainland = message.target.startswith(_MAINLAND)
        codes = own["template_codes"] if is_mainland else own["international_template_codes"]
        template_code = find_template_code(codes, message)
        if not template_code:
            raise NotSent("no template for this message")
        variables = {own["code_variable"]: message.verification_code}
        if own["minutes_variable"]:
            variables[own["minutes_variable"]] = str(message.valid_minutes)
        sign_name = own["sign_name"] if is_mainland else own["international_sign_name"] or own["sign_name"]
        return {
            # Numbers of the mainland stand alone; others with their calling code and without the plus.
            "PhoneNumbers": message.target.removeprefix(_MAINLAND if is_mainland else "+"),
            "SignName": sign_name,
            "TemplateCode": template_code,
            "TemplateParam": json.dumps(variables, ensure_ascii=False, separators=(",", ":")),
        }


def authorization(*, query: str, headers: Mapping[str, str], key_id: str, secret: str, method: str = "POST") -> str:
    """Return the Authorization header of a request of the RPC style, whose path is always `/`.

    headers: in lower case; `host`, `content-type` and all `x-acs-…` are signed, `x-acs-content-sha256` among them.
    """
    names = sorted(name for name in headers if name in ("host", "content-type") or name.startswith("x-acs-"))
    signed = ";".join(names)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    request = "\n".join((method, "/", query, lines, signed, headers["x-acs-content-sha256"]))
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(secret.encode(), to_sign.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={signed},Signature={signature}"


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Join the parameters by name, everything but RFC3986's unreserved characters encoded."""
    return "&".join(f"{quote(name, safe='~')}={quote(parameters[name], safe='~')}" for name in sorted(parameters))


def find_template_code(codes: Mapping[str, str], message: Message) -> str:
    """Find the template for purpose and language, for the purpose, for the language, or for all; "" for none."""
    for key in (f"{message.purpose}.{message.language}", message.purpose, f"{_ANY}.{message.language}", _ANY):
        if key in codes:
            return codes[key]
    return ""


def _judge(answer: Response) -> Receipt:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise NotSent(f"HTTP {answer.status}, not JSON", is_unclear=answer.is_success)
    code, request_id = _text(document, "Code"), _text(document, "RequestId")
    if answer.is_success and code == "OK":
        return Receipt(_text(document, "BizId") or request_id)
    if not code:
        raise NotSent(f"HTTP {answer.status}, no Code", reference=request_id, is_unclear=answer.is_success)
    raise NotSent(f"HTTP {answer.status}", code=code, reference=request_id)


def _text(document: Mapping[str, Any], name: str) -> str:
    """Return a short word of the answer, or "" for anything else that stands there."""
    value = document.get(name)
    return value if isinstance(value, str) and _SAFE_ANSWER.fullmatch(value) else ""


# Setting up ------------------------------------------------------------------------------------------------


def read_template_codes(value: Any) -> dict[str, str]:
    """Read lines such as `login.ja = SMS_1`, or the same as a mapping, into a mapping. Raises ValidationError."""
    if isinstance(value, str):
        pairs = [line.partition("=") for line in value.splitlines() if line.strip()]
        value = {key.strip(): code.strip() for key, _sign, code in pairs}
        if len(value) != len(pairs):
            raise ValidationError(_("One line is there twice."))
    if not isinstance(value, Mapping):
        raise ValidationError(_("These are not lines of the form `purpose = code`."))
    languages = {code for code, _name in django_settings.LANGUAGES}
    for key, code in value.items():
        purpose, _dot, language = str(key).partition(".")
        if purpose not in (_ANY, *VerificationPurpose.values) or (language and language not in languages):
            raise ValidationError(_("“%(key)s” is no purpose, or no purpose and language."), params={"key": str(key)})
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise ValidationError(_("The template of “%(key)s” is not a template code."), params={"key": str(key)})
    return dict(value)


def show_template_codes(value: Any) -> str:
    """Return the mapping as lines."""
    return "\n".join(f"{key} = {code}" for key, code in (value or {}).items())


def _read_variable(value: Any) -> str:
    text = read_text(value)
    if text and not _CODE.fullmatch(text):
        raise ValidationError(_("This is not the name of a variable."))
    return text


def _check(facts: GatewayFacts) -> None:
    check_address(facts)
    parts = urlsplit(facts.address)
    if parts.path.strip("/") or parts.query:
        raise ValidationError({"base_url": _("The address of this service has neither path nor query.")})


_CODES_HELP = gettext_lazy(
    "One a line: a purpose, perhaps with a language, and the code of the template that Aliyun approved for it, such as "
    "`login.ja = SMS_123456789`. The line `* = …` is for everything else."
)

KIND = GatewayKind(
    name="aliyun",
    label=gettext_lazy("Aliyun short message service"),
    channels=(VerificationChannel.SMS,),
    make=AliyunSender,
    secret_label=gettext_lazy("AccessKey secret"),
    has_address=True,
    default_address=DEFAULT_ADDRESS,
    check=_check,
    settings=(
        Setting(name="access_key_id", label=gettext_lazy("AccessKey id"), is_required=True),
        Setting(name="sign_name", label=gettext_lazy("Signature name (SignName)"), is_required=True),
        Setting(
            name="template_codes",
            label=gettext_lazy("Templates (TemplateCode)"),
            help_text=_CODES_HELP,
            is_required=True,
            is_long=True,
            default={},
            read=read_template_codes,
            show=show_template_codes,
        ),
        Setting(
            name="international_sign_name",
            label=gettext_lazy("Signature name outside the mainland"),
            help_text=gettext_lazy("The one above, if left out."),
        ),
        Setting(
            name="international_template_codes",
            label=gettext_lazy("Templates outside the mainland"),
            help_text=gettext_lazy("Without any, this gateway leaves numbers outside the mainland to the next one."),
            is_long=True,
            default={},
            read=read_template_codes,
            show=show_template_codes,
        ),
        Setting(
            name="code_variable",
            label=gettext_lazy("Variable of the code"),
            is_required=True,
            default="code",
            read=_read_variable,
        ),
        Setting(
            name="minutes_variable",
            label=gettext_lazy("Variable of the minutes it is valid"),
            help_text=gettext_lazy("Only if your templates have one: Aliyun refuses variables that a template lacks."),
            read=_read_variable,
        ),
    ),
)
