"""Answers to a validation in the three forms of the protocol: plain text, XML, JSON (CAS-2.4.2, CAS-2.5.2).

In XML everything is text: an attribute without a value is `null`. JSON has types and leaves it out (OneAccess-3.3.2.2).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from django.core.serializers.json import DjangoJSONEncoder

from cas_saml.cas.errors import ErrorSpec
from identity.machine import Answer

NAMESPACE = "http://www.yale.edu/tp/cas"
NULL = "null"
# XML10-2.2: characters that no XML document may hold, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAKS = re.compile("[\r\n]")
_MAX_SHOWN_TICKET = 256


def plain_success(user_name: str) -> Answer:
    """CAS 1.0: yes, and the name on a line of its own. A name of two lines would be another name."""
    return plain_failure() if _LINE_BREAKS.search(user_name) else _text(f"yes\n{user_name}\n")


def plain_failure() -> Answer:
    """CAS 1.0: no, and nothing more."""
    return _text("no\n\n")


def success(user_name: str, attributes: Mapping[str, Any] | None, *, is_json: bool) -> Answer:
    """Say who signed in; attributes: None in CAS 2.0, which has none."""
    if is_json:
        member: dict[str, Any] = {"user": user_name}
        if attributes is not None:
            member["attributes"] = {name: _json(value) for name, value in attributes.items() if value is not None}
        return _json_response({"authenticationSuccess": member})
    lines = [f"    <cas:user>{_xml(user_name)}</cas:user>"]
    if attributes is not None:
        lines += ["    <cas:attributes>", *_elements(attributes), "    </cas:attributes>"]
    return _xml_response(["  <cas:authenticationSuccess>", *lines, "  </cas:authenticationSuccess>"])


def failure(spec: ErrorSpec, *, ticket: str, is_json: bool) -> Answer:
    """Why nobody is told of."""
    shown = ticket[:_MAX_SHOWN_TICKET]
    if is_json:
        member = {"code": spec.code, "description": spec.text_json.format(ticket=_clean(shown))}
        return _json_response({"authenticationFailure": member})
    text = _xml(spec.text_xml.format(ticket=shown))
    return _xml_response([f'  <cas:authenticationFailure code="{spec.code}">{text}</cas:authenticationFailure>'])


def proxy_failure(code: str, text: str) -> Answer:
    """CAS-2.7.2: no proxy ticket is given."""
    return _xml_response([f'  <cas:proxyFailure code="{code}">{_xml(text)}</cas:proxyFailure>'])


def _elements(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield one element for each value; several values are several elements of one name (CAS-2.5.5)."""
    for name, value in attributes.items():
        for item in value if isinstance(value, list) else [value]:
            yield f"      <cas:{name}>{_xml(_written(item))}</cas:{name}>"


def _written(value: Any) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    return moment(value) if isinstance(value, datetime) else str(value)


def _json(value: Any) -> Any:
    if isinstance(value, list):
        return [_json(item) for item in value if item is not None]
    return moment(value) if isinstance(value, datetime) else value


def moment(value: datetime) -> str:
    """UTC with milliseconds and Z."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _xml(text: str) -> str:
    return escape(_clean(text))


def _xml_response(lines: list[str]) -> Answer:
    document = "\n".join([f'<cas:serviceResponse xmlns:cas="{NAMESPACE}">', *lines, "</cas:serviceResponse>", ""])
    return _answer("application/xml; charset=utf-8", document)


def _json_response(member: dict[str, Any]) -> Answer:
    return _answer("application/json", json.dumps({"serviceResponse": member}, cls=DjangoJSONEncoder))


def _text(body: str) -> Answer:
    return _answer("text/plain; charset=utf-8", body)


def _answer(content_type: str, body: str) -> Answer:
    return Answer(200, {"Content-Type": content_type, "Cache-Control": "no-store"}, body.encode())
