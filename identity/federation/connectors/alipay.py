"""Alipay: the open platform's gateway, signed both ways (opendocs.alipay.com, "alipay.system.oauth.token").

Requests are form fields signed with our application's private key (RSA2: RSA with SHA-256, PKCS #1 v1.5), answers are
signed by Alipay over the characters of the answer's member as they were sent, so they are checked before any parser
touches them. `user_id` names the person in all applications; newer ones are told `open_id`, which names the person in
one, and perhaps `union_id`, in all of one owner.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)
from django.utils.translation import gettext_lazy as _

from identity.federation.connectors import base
from identity.federation.connectors.base import Account, Connector, ExternalPerson

_API_URL = "https://openapi.alipay.com/gateway.do"
_AUTHORIZE_URL = "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm"
_TIME_ZONE = ZoneInfo("Asia/Shanghai")  # of the gateway's timestamps
_SUCCESS = "10000"
_MIN_KEY_BITS = 2048  # RSA2
# What is wrong with the code, and not with us: invalid, spent or expired, or of another application.
_CODE_REFUSED = frozenset({"isv.code-invalid", "isv.code-expired", "isv.invalid-app-id"})
# The token may not read the profile (scope auth_base): who it is stood in the answer before.
_PROFILE_REFUSED = frozenset({"20001", "40006"})
_FORM = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8", "Accept": "application/json"}


@base.register
class Alipay(Connector):
    """Alipay's open platform."""

    kind = "alipay"
    label = _("Alipay")
    social_type = "alipay"
    refused_code = "PARAM.0012"
    code_parameter = "auth_code"
    needs_public_key: ClassVar[bool] = True

    def check(self, account: Account) -> None:
        """Refuse what can never work."""
        _private_key(account.secret, is_checked=False)
        _public_key(account.public_key)
        base.check_urls(account, defaults=(_API_URL, _AUTHORIZE_URL))

    def authorization_url(self, account: Account, *, redirect_uri: str, state: str) -> str:
        """Return the address of one page for all: a code to scan on a desktop, the question itself inside Alipay."""
        query = {"app_id": account.client_id, "scope": "auth_user", "redirect_uri": redirect_uri, "state": state}
        return f"{account.authorize_url or _AUTHORIZE_URL}?{urlencode(query)}"

    def is_offered(self, account: Account, *, user_agent: str) -> bool:
        """Everywhere, unless the operator keeps it for the app's own browser."""
        return not account.is_in_app or "AlipayClient" in user_agent

    def ask(self, account: Account, *, authorization_code: str, deadline: float) -> ExternalPerson:
        """Exchange the code for a token, and the token for the profile."""
        name = "alipay.system.oauth.token"
        answer, is_error = self._call(
            account, name, {"grant_type": "authorization_code", "code": authorization_code}, deadline=deadline
        )
        if is_error or answer.get("code", _SUCCESS) != _SUCCESS:
            raise self._refusal(answer)
        access_token = answer.get("access_token")
        ids = {member: self.id_of(answer, member) for member in ("user_id", "open_id", "union_id")}
        if not base.is_token(access_token) or not (ids["user_id"] or ids["open_id"]):
            raise self.trouble("no id or no access_token")
        profile, is_error = self._call(
            account, "alipay.user.info.share", {"auth_token": str(access_token)}, deadline=deadline
        )
        code = str(profile.get("code", "" if is_error else _SUCCESS))
        if code in _PROFILE_REFUSED:
            profile = {}
        elif is_error or code != _SUCCESS:
            raise self.trouble(_reason(profile))
        for member, known in ids.items():
            told = self.id_of(profile, member)
            if told and known and told != known:
                raise self.trouble("profile of somebody else")
            ids[member] = known or told
        return ExternalPerson(
            subject=ids["user_id"] or ids["union_id"],
            openid=ids["open_id"],
            nickname=base.clean_nickname(profile.get("nick_name")),
            picture_url=base.clean_picture_url(profile.get("avatar")),
        )

    def _refusal(self, answer: Mapping[str, Any]) -> Exception:
        return (
            self.refuse(_reason(answer))
            if str(answer.get("sub_code")) in _CODE_REFUSED
            else self.trouble(_reason(answer))
        )

    def _call(
        self, account: Account, name: str, fields: Mapping[str, str], *, deadline: float
    ) -> tuple[dict[str, Any], bool]:
        """Make one signed call. Return the checked member, and whether it is the gateway's `error_response`."""
        sent = {
            "app_id": account.client_id,
            "method": name,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": datetime.now(_TIME_ZONE).strftime("%Y-%m-%d %H:%M:%S"),
            "version": "1.0",
            **fields,
        }
        sent["sign"] = sign(sent, private_key=account.secret)
        body = self.request(
            "POST",
            account.api_url or _API_URL,
            account=account,
            deadline=deadline,
            body=urlencode(sent).encode(),
            headers=_FORM,
        )
        try:
            members = raw_members(body.decode())
        except (ValueError, RecursionError):
            raise self.trouble("not JSON") from None
        own = f"{name.replace('.', '_')}_response"
        is_error = own not in members
        raw = members.get("error_response" if is_error else own, "")
        # An error too is believed only when it is signed: Alipay signs what is wrong with a code, and what it does
        # not sign (an unknown application, a bad signature of ours) is for the operator.
        signature = members.get("sign", '""')
        if not raw or not is_signed(raw, signature=json.loads(signature), public_key=account.public_key):
            raise self.trouble(f"{name}: the answer is not signed by Alipay's key")
        return self.json_object(raw), is_error


def _reason(answer: Mapping[str, Any]) -> str:
    return f"code {answer.get('code')} {answer.get('sub_code')}"[:100]


# Signatures ------------------------------------------------------------------------------------------------


def signed_text(fields: Mapping[str, str]) -> bytes:
    """Return what a signature covers: every field that is not empty, by name, as `name=value&…`, nothing encoded."""
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign" and fields[name]).encode()


def sign(fields: Mapping[str, str], *, private_key: str) -> str:
    """Sign a request, in Base64."""
    key = _private_key(private_key, is_checked=True)
    return base64.b64encode(key.sign(signed_text(fields), PKCS1v15(), SHA256())).decode()


def is_signed(raw: str, *, signature: object, public_key: str) -> bool:
    """Tell whether Alipay signed exactly these characters."""
    if not isinstance(signature, str):
        return False
    try:
        given = base64.b64decode(signature, validate=True)
        _public_key(public_key).verify(given, raw.encode(), PKCS1v15(), SHA256())
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def raw_members(text: str) -> dict[str, str]:
    """Return the members of a JSON object, each as the characters that were sent.

    Written again by any serializer, a value would have other characters than those that were signed. Raises ValueError
    for what is no JSON object, and for a name that stands there twice: the one could be signed and the other read.
    """
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    position = _skip(text, 0)
    if text[position : position + 1] != "{":
        raise ValueError("not an object")
    position = _skip(text, position + 1)
    members: dict[str, str] = {}
    while text[position : position + 1] != "}":
        if members:
            position = _skip(text, _expect(text, position, ","))
        if text[position : position + 1] != '"':
            raise ValueError("no name")
        name, position = decoder.raw_decode(text, position)
        start = _skip(text, _expect(text, _skip(text, position), ":"))
        _value, position = decoder.raw_decode(text, start)
        if name in members:
            raise ValueError("a name twice")
        members[name] = text[start:position]
        position = _skip(text, position)
    if text[position + 1 :].strip():
        raise ValueError("more than an object")
    return members


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in {" ", "\t", "\r", "\n"}:
        position += 1
    return position


def _expect(text: str, position: int, sign: str) -> int:
    if text[position : position + 1] != sign:
        raise ValueError(f"no {sign}")
    return position + 1


def _no_constant(name: str) -> None:
    raise ValueError(name)  # RFC8259-6: neither NaN nor Infinity


def _private_key(text: str, *, is_checked: bool) -> RSAPrivateKey:
    """Read PEM, or the Base64 alone that Alipay's key tool writes. Raises ValueError.

    is_checked: was it read before, when it was set up? Its arithmetic is not proved again then, which is slow.
    """
    try:
        if "-----BEGIN" in text:
            key: Any = load_pem_private_key(text.encode(), None, unsafe_skip_rsa_key_validation=is_checked)
        else:
            key = load_der_private_key(_decoded(text), None, unsafe_skip_rsa_key_validation=is_checked)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("The private key cannot be read.") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_KEY_BITS:
        raise ValueError("The private key is not an RSA key of 2048 bits or more.")
    return key


def _public_key(text: str) -> RSAPublicKey:
    """Read PEM, or the Base64 alone that Alipay's console shows. Raises ValueError."""
    try:
        is_pem = "-----BEGIN" in text
        key: Any = load_pem_public_key(text.encode()) if is_pem else load_der_public_key(_decoded(text))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("Alipay's public key cannot be read.") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
        raise ValueError("Alipay's public key is not an RSA key of 2048 bits or more.")
    return key


def _decoded(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)
