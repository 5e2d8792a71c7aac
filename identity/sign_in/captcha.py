"""The sliding puzzle before a code is sent: draw one, check its answer once, spend what that gave once.

The rules are those of AJ-Captcha, whose clients apps have built in (docs/contract/sdk_api.yaml, x-captcha). A puzzle is
good for one answer, right or wrong; a right one gives a captcha_token, good for one message to the sender that was
named. Both belong to the client and the device that asked for the puzzle, and each is spent by one conditional UPDATE.
Our own pages take the answer together with the order of the message, so they need no captcha_token.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7
from django.utils import timezone

from identity import crypto, throttle
from identity.context import RequestContext
from identity.errors import CaptchaRefused, VerificationRefused
from identity.models import Captcha, CounterKind, Tenant, VerificationChannel
from identity.purging import Purger
from identity.sign_in import puzzles, verification
from identity.sign_in.verification import Target
from identity.throttle import Limit

LIFETIME = timedelta(seconds=120)
TOKEN_LIFETIME = timedelta(seconds=180)
TOLERANCE = 5  # pixels either way
TRUE_Y = 5  # always: the piece has the full height
# Drawing costs some milliseconds of work, and each puzzle is one guess; the component's own proposal.
PER_SOURCE = Limit(120, timedelta(minutes=1))

_KEY_CHARACTERS = string.ascii_letters + string.digits
_KEY_LENGTH = 16
_MAX_POINT = 500
_SEPARATOR = "---"
_PURPOSE = "captcha"
_SOLUTION = crypto.column_purpose(Captcha, "solution_sealed")


@dataclass(frozen=True, slots=True)
class DrawnCaptcha:
    """What the app may know of a puzzle."""

    token: str
    secret_key: str | None  # to encrypt the point with, where the tenant has that on
    original_png: bytes
    piece_png: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Where somebody has left the piece on one of our pages."""

    token: str
    x: int | None  # of the piece's left edge, in pixels of the picture; None for what is no position


def draw(*, tenant: Tenant, binding: str, context: RequestContext) -> DrawnCaptcha:
    """Draw a puzzle for this client and device. Raises TooManyRequests.

    binding: what names the client and the device; every later step must bring it again.
    """
    throttle.limit(tenant=tenant, kind=CounterKind.CAPTCHA_SOURCE, key=throttle.source_of(context), limit=PER_SOURCE)
    puzzle = puzzles.draw()
    token = secrets.token_hex(16)  # S40: 128 bits; a UUID without hyphens, as the component writes it
    secret_key = None
    if tenant.encrypt_captcha:
        secret_key = "".join(secrets.choice(_KEY_CHARACTERS) for _character in range(_KEY_LENGTH))
    Captcha.objects.create(
        tenant=tenant,
        token_hash=crypto.hash_handle(token, purpose=_PURPOSE),
        binding_hash=crypto.keyed_hash(binding, purpose=_PURPOSE),
        solution_sealed=crypto.seal(json.dumps({"x": puzzle.x, "key": secret_key}), purpose=_SOLUTION),
        expires_at=timezone.now() + LIFETIME,
    )
    return DrawnCaptcha(token, secret_key, puzzle.original_png, puzzle.piece_png)


def check(*, tenant: Tenant, token: str, point_json: str, sender: str, binding: str) -> str:
    """Check where the piece was left; return the captcha_token. The puzzle is over, right or wrong.

    sender: the number or mailbox that a code will go to. Raises CaptchaRefused, whatever is wrong.
    """
    row = _find_own(token, tenant=tenant, binding=binding)
    solution = json.loads(crypto.unseal(row.solution_sealed, purpose=_SOLUTION))
    plain = read_point(point_json, secret_key=solution["key"])
    is_right = plain is not None and _is_right(plain, true_x=solution["x"])
    # Kept byte for byte: the app sends this very text back.
    captcha_token = f"{token}{_SEPARATOR}{plain}"
    now = timezone.now()
    values: dict[str, object] = {}
    if is_right:
        values = {
            "captcha_token_hash": crypto.hash_handle(captcha_token, purpose=_PURPOSE),
            "sender_hash": crypto.keyed_hash(_sender_key(sender, tenant=tenant), purpose=_PURPOSE),
            "expires_at": now + TOKEN_LIFETIME,
        }
    _close(row, is_right=is_right, now=now, **values)
    return captcha_token


def solve(*, tenant: Tenant, answer: Answer | None, binding: str) -> None:
    """Spend a puzzle on the one message that is being ordered with its answer. It is over, right or wrong.

    answer: None where no puzzle was shown yet. binding: as in `draw`. Raises CaptchaRefused, whatever is wrong.
    """
    if answer is None:
        raise CaptchaRefused(log_detail="no answer")
    row = _find_own(answer.token, tenant=tenant, binding=binding)
    true_x = json.loads(crypto.unseal(row.solution_sealed, purpose=_SOLUTION))["x"]
    is_right = answer.x is not None and abs(answer.x - true_x) <= TOLERANCE
    now = timezone.now()
    _close(row, is_right=is_right, now=now, consumed_at=now)


def spend(*, tenant: Tenant, captcha_token: str, sender: str, binding: str) -> None:
    """Spend a captcha_token on one message to this sender.

    Raises VerificationRefused: CAPTCHA.0004 where it was never given to this client and device for this sender,
    CAPTCHA.0003 where it is over or was used.
    """
    row = _find(captcha_token.partition(_SEPARATOR)[0], tenant=tenant)
    is_its_own = row is not None and all(
        [  # every one of them, so that the time does not tell which one failed
            crypto.matches_keyed_hash(captcha_token, row.captcha_token_hash, purpose=_PURPOSE),
            crypto.matches_keyed_hash(binding, row.binding_hash, purpose=_PURPOSE),
            crypto.matches_keyed_hash(_sender_key(sender, tenant=tenant), row.sender_hash, purpose=_PURPOSE),
        ]
    )
    if row is None or not is_its_own:
        raise VerificationRefused("CAPTCHA.0004", log_detail="captcha_token not given, or not for this")
    now = timezone.now()
    if not Captcha.objects.filter(pk=row.pk, consumed_at=None, expires_at__gt=now).update(consumed_at=now):
        raise VerificationRefused("CAPTCHA.0003", log_detail=f"captcha={row.pk} token spent or over")


def read_point(point_json: str, *, secret_key: str | None) -> str | None:
    """Return the point's JSON text, decrypted where it is not plain; None for what is neither.

    With a key both are taken: the document shows a key and a plain point side by side (conflict D03).
    """
    if len(point_json) > _MAX_POINT:
        return None
    if secret_key is None or point_json.startswith("{"):
        return point_json
    try:
        ciphertext = base64.b64decode(point_json, validate=True)
        # It keeps no secret: AJ-Captcha's clients know this mode only, and the key travels beside the picture.
        decryptor = Cipher(AES(secret_key.encode()), ECB()).decryptor()  # noqa: S305
        unpadder = PKCS7(AES.block_size).unpadder()
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except (binascii.Error, ValueError):
        return None


# Puzzles whose last use ran out an hour ago.
purge_expired = Purger(lambda now: Captcha.objects.filter(expires_at__lt=now - timedelta(hours=1)), by="expires_at")


def _find(token: str, *, tenant: Tenant) -> Captcha | None:
    return Captcha.objects.filter(tenant=tenant, token_hash__in=crypto.keyed_hashes(token, purpose=_PURPOSE)).first()


def _find_own(token: str, *, tenant: Tenant, binding: str) -> Captcha:
    row = _find(token, tenant=tenant)
    if row is None or not crypto.matches_keyed_hash(binding, row.binding_hash, purpose=_PURPOSE):
        raise CaptchaRefused(log_detail="captcha unknown, or of another device")
    return row


def _close(row: Captcha, *, is_right: bool, now: datetime, **values: object) -> None:
    """Take the one answer that a puzzle takes, and refuse a wrong one."""
    open_rows = Captcha.objects.filter(pk=row.pk, checked_at=None, expires_at__gt=now)
    if not open_rows.update(checked_at=now, **values):
        raise CaptchaRefused(log_detail=f"captcha={row.pk} answered or over")
    if not is_right:
        raise CaptchaRefused(log_detail=f"captcha={row.pk} wrong")


def _is_right(point_json: str, *, true_x: int) -> bool:
    """Judge a point by the component's own rule: fractions are cut off, y is always five."""
    try:
        point = json.loads(point_json)
        # A JavaScript client writes whole numbers without a fraction, a Java client with one.
        x, y = (math.trunc(point[name]) if type(point[name]) in (int, float) else None for name in ("x", "y"))
    except (ValueError, OverflowError, RecursionError, TypeError, KeyError):
        return False  # neither an object with both, nor finite numbers
    return x is not None and bool(abs(x - true_x) <= TOLERANCE) and y == TRUE_Y


def _sender_key(sender: str, *, tenant: Tenant) -> str:
    target = (
        Target(VerificationChannel.EMAIL, sender)
        if "@" in sender
        else verification.mobile_target(sender, tenant=tenant)
    )
    return f"{target.channel}:{target.key}"
