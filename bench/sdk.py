"""The SDK API as a phone app and its back end drive it: one app on one device for each worker."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bench.http import Connection, Response, check
from bench.phone import Phone, device_headers
from bench.worker import Person, Target, Worker


async def post(connection: Connection, url: str, body: dict[str, Any], headers: dict[str, str]) -> Response:
    sent = {"Content-Type": "application/json;charset=utf8", **headers}
    return await connection.request("POST", url, sent, json.dumps(body).encode())


async def new_phone(target: Target, person: Person, connection: Connection) -> Phone:
    """An app that is signed in and knows its key, and a back end with a token of its own."""
    parts = urlsplit(target.issuer)
    origin, headers = f"{parts.scheme}://{parts.netloc}", device_headers(target.client_id)
    response = await connection.get(f"{origin}/api/v2/sdk/public-key", headers)
    key = load_pem_public_key(response.json()["public_key"].encode())
    assert isinstance(key, RSAPublicKey)
    body = {"user_name": person.user_name, "password": person.password}
    signed_in = await post(connection, f"{origin}/api/v2/sdk/login", body, headers)
    check(signed_in.status == 200 and "session_token" in signed_in.json(), "sdk_login", signed_in)
    form = {
        "grant_type": "client_credentials",
        "client_id": target.client_id,
        "client_secret": target.client_secret,
    }
    granted = await connection.post(f"{origin}/api/v2/tenant/token", form)
    check(granted.status == 200, "tenant token", granted)
    return Phone(origin, target.client_id, key, signed_in.json()["session_token"], granted.json()["access_token"])


def phone_of(worker: Worker) -> Phone:
    assert worker.phone is not None
    return worker.phone


async def sdk_login(worker: Worker) -> Response:
    phone, person = phone_of(worker), worker.person
    body = {"user_name": person.user_name, "password": person.password}
    response = await post(worker.connection, f"{phone.origin}/api/v2/sdk/login", body, phone.headers())
    check(response.status == 200 and response.json()["status"] == "SUCCESS", "sdk_login", response)
    return response


async def sdk_profile(worker: Worker) -> Response:
    phone = phone_of(worker)
    headers = phone.headers() | {"X-signature": phone.signature()}
    response = await worker.connection.get(f"{phone.origin}/api/v2/sdk/profile", headers)
    check(response.status == 200 and response.json()["user_name"] == worker.person.user_name, "sdk_profile", response)
    return response


async def sdk_captcha(worker: Worker) -> Response:
    phone = phone_of(worker)
    response = await worker.connection.get(f"{phone.origin}/api/v2/sdk/captcha", phone.headers())
    check(response.status == 200 and len(response.json()["originalImageBase64"]) > 1000, "sdk_captcha", response)
    return response


async def sso_ticket_issue(worker: Worker) -> Response:
    phone = phone_of(worker)
    body = phone.device(session_token=phone.session_token)
    bearer = {"Authorization": f"Bearer {phone.access_token}"}
    response = await post(worker.connection, f"{phone.origin}/api/v2/tenant/sso/session-token/sso-ticket", body, bearer)
    check(response.status == 200 and "sso_ticket" in response.json(), "sso_ticket_issue", response)
    return response


async def mint_ticket(worker: Worker) -> str:
    ticket: str = (await sso_ticket_issue(worker)).json()["sso_ticket"]
    return ticket


async def sso_ticket_verify(worker: Worker) -> Response:
    phone = phone_of(worker)
    body = phone.device(sso_ticket=worker.tickets.pop())
    bearer = {"Authorization": f"Bearer {phone.access_token}"}
    response = await post(worker.connection, f"{phone.origin}/api/v2/tenant/sso/sso-ticket/verify", body, bearer)
    is_good = response.status == 200 and response.json()["data"]["user"]["userName"] == worker.person.user_name
    check(is_good, "sso_ticket_verify", response)
    return response
