"""Domain errors: what went wrong, with the product's code and no HTTP.

The codes and English texts are `error_codes.csv`, one catalogue. Families are classes, so that each protocol can map
them; `code` names the row. `log_detail` goes to the log and never to the caller.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

CATALOGUE_FILE = Path(__file__).with_name("error_codes.csv")


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One row of the product's error catalogue."""

    code: str
    message: str  # English, with placeholders {0}, {1}
    meaning: str
    action: str


@cache
def catalogue() -> dict[str, CodeRow]:
    """Return the product's error codes, by code."""
    with CATALOGUE_FILE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return {row["code"]: CodeRow(row["code"], row["message"], row["meaning"], row["action"]) for row in rows}


class IdentityError(Exception):
    """A rule of identity was broken. `code` is a row of the catalogue, `params` fill its placeholders."""

    code: ClassVar[str] = "COM.0002"

    def __init__(self, code: str | None = None, *params: object, log_detail: str = "") -> None:
        self.error_code = code or self.code
        self.params = params
        self.log_detail = log_detail
        super().__init__(self.error_code)

    @property
    def message(self) -> str:
        """The catalogue's English text with the placeholders filled in."""
        return catalogue()[self.error_code].message.format(*self.params)


class NotFound(IdentityError):
    """A row that the caller named does not exist in the tenant."""


class ValueRequired(IdentityError):
    """A value that the tenant or the contract demands is empty."""


class ValueInvalid(IdentityError):
    """A value breaks its validation rule."""


class AlreadyExists(IdentityError):
    """A value that must be unique is taken."""


class NotAllowed(IdentityError):
    """The rule forbids this change in the present state: not enabled, not empty, parent of itself, unsupported."""


class PasswordRefused(IdentityError):
    """A new password breaks the tenant's policy (PWD.*, PARAM.0020)."""


class CredentialsRefused(IdentityError):
    """Wrong password, unknown user or disabled user: one error, one text (S33)."""

    code: ClassVar[str] = "LOGIN.0002"


class AccountLocked(IdentityError):
    """Too many failures; params are the minutes and seconds left."""

    code: ClassVar[str] = "LOGIN.0001"


class AccountDisabled(IdentityError):
    """The user is disabled; told only after the password or code was proved (decision 24)."""

    code: ClassVar[str] = "USER.0004"


class AccessDenied(IdentityError):
    """The user may not use the application."""

    code: ClassVar[str] = "APP_ACCOUNT.0001"


class ApplicationDisabled(IdentityError):
    code: ClassVar[str] = "APP.0003"


class ExternalCodeRefused(ValueInvalid):
    """A provider does not take the authorization code that was brought to it; the connector names the code."""


class StateInvalid(IdentityError):
    """A sign-in transaction is unknown, foreign, over, or not in the state that the step needs."""

    code: ClassVar[str] = "PARAM.0014"


class VerificationRefused(IdentityError):
    """A verification code is wrong, spent, expired, or tried too often."""

    code: ClassVar[str] = "CAPTCHA.0007"


class CaptchaRefused(VerificationRefused):
    """A sliding puzzle was not answered, or not rightly: the next try needs a new one."""

    code: ClassVar[str] = "CAPTCHA.0002"


class PasskeyRefused(VerificationRefused):
    """A passkey's answer is not what it must be. `reason` is the check that it failed: for the audit, never a page."""

    def __init__(self, reason: str, *, log_detail: str = "") -> None:
        super().__init__(log_detail=f"{reason} {log_detail}".strip())
        self.reason = reason


class SendFailed(IdentityError):
    """No gateway took the message."""

    code: ClassVar[str] = "CAPTCHA.0006"


class TooManyRequests(IdentityError):
    """A rate limit was reached (ours, decision 28). `retry_after_seconds` tells when to come back."""

    code: ClassVar[str] = "COM.0429"

    def __init__(self, *, retry_after_seconds: int, log_detail: str = "") -> None:
        super().__init__(None, log_detail=log_detail)
        self.retry_after_seconds = retry_after_seconds


class BodyUnreadable(IdentityError):
    """The body of a request is not what its operation reads, so nothing of it may count (decision 53)."""

    code: ClassVar[str] = "COM.0400"


class ContentCodingUnsupported(IdentityError):
    """The body of a request is compressed (RFC9110-15.5.16)."""

    code: ClassVar[str] = "COM.0415"


class AuthorityRefused(IdentityError):
    """The person has more rights than who acts, or nobody may do this to themselves (S46)."""

    code: ClassVar[str] = "RIGHT.0001"


class IdTokenFailed(IdentityError):
    """No id_token could be made for a session: the client is none of OpenID Connect, or its key is away."""

    code: ClassVar[str] = "LOGIN.0003"


class SystemBusy(IdentityError):
    """Something we depend on is away, or more is asked than can be done now (COM.0002)."""

    retry_after_seconds: ClassVar[int] = 5
