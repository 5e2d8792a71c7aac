"""Parameters of a request: what came, what came twice, what cannot be read. The same at every endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl

from identity.machine import BodyCutOff, BodyTooLarge
from identity.texts import is_storable, single_spaced
from oidc_provider.errors import Fault, OAuthError

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 100
# A parameter longer than this serves nobody; id_token_hint and claims are the long ones.
MAX_VALUE_LENGTH = 16 * 1024  # characters
# What an authorization request may say: what is kept of it while the user signs in. RFC6749-3.1: others are ignored.
KNOWN = frozenset(
    {
        "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
        "code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "id_token_hint",
        "ui_locales", "claims", "acr_values",
    }
)  # fmt: skip
# RFC6749-A.4: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), with single spaces between.
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")


class Parameters(dict[str, str]):
    """Request parameters by name, first value each, and the names that came more than once. Nobody writes to it.

    RFC6749-3.1: a parameter without a value is as good as omitted; unknown ones are ignored.
    """

    __slots__ = ("malformed", "repeated")

    def __init__(
        self,
        values: Mapping[str, str],
        repeated: frozenset[str] = frozenset(),
        malformed: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(values)
        self.repeated = repeated
        self.malformed = malformed

    def respelled(self, values: Mapping[str, str]) -> Parameters:
        """Return the same request after a dialect has turned its values into RFC form."""
        return Parameters(values, self.repeated, self.malformed)

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Parameters:
        """Return parameters that were collected and found sound before."""
        return cls(values)

    @property
    def known(self) -> dict[str, str]:
        """The parameters that mean something to us."""
        return {name: value for name, value in self.items() if name in KNOWN}


# Reading ---------------------------------------------------------------------------------------------------


def read(body: Callable[[], bytes]) -> bytes:
    """Read the body of a request. Raises OAuthError for one that is too large, or cut off."""
    try:
        return body()
    except BodyTooLarge:
        raise OAuthError(Fault.BODY_TOO_LARGE) from None
    except BodyCutOff:
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="body cut off") from None


def from_form(content_type: str, read_body: Callable[[], bytes]) -> Parameters:
    """Return the parameters of a form body (RFC6749-3.2, appendix B).

    Raises OAuthError for another content type, a body that is too large, cut off, or not a form.
    """
    if content_type != FORM:
        raise OAuthError(Fault.CONTENT_TYPE, log_detail=f"content_type={content_type[:60]!r}")
    # A form is ASCII once it is encoded; anything else becomes U+FFFD and is refused by name.
    return from_text(read_body().decode("utf-8", errors="replace"))


def from_text(encoded: str) -> Parameters:
    """Return the parameters of a query, or of a form as it is sent. Raises OAuthError for too many."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="too many fields") from None
    return collect(pairs)


def collect(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """Read name and value pairs of a query or a form."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    repeated: set[str] = set()
    malformed: set[str] = set()
    for name, value in pairs:
        if name in seen:
            # S45, RFC6749-3.1: also when one of the two is empty, for others may read the other one.
            repeated.add(name)
            continue
        seen.add(name)
        if _is_malformed(value) or _is_malformed(name):
            malformed.add(name)
        if name == "scope":
            # RFC6749-3.3 has one space between words; many clients join lists that hold an empty one.
            value = single_spaced(value)
        if value:
            values[name] = value
    return Parameters(values, frozenset(repeated), frozenset(malformed))


def merge(first: Parameters, second: Parameters) -> Parameters:
    """Return the parameters of a query and of a form together; a name in both is repeated."""
    return Parameters(
        {**second, **first},
        first.repeated | second.repeated | (first.keys() & second.keys()),
        first.malformed | second.malformed,
    )


# Judging ---------------------------------------------------------------------------------------------------


def check_single(params: Parameters) -> None:
    """Refuse repeated and malformed parameters, where no answer is redirected.

    RFC6749-3.2: parameters must not be included more than once.
    """
    if params.repeated:
        raise OAuthError(Fault.REPEATED_PARAMETER, log_detail=f"names={_names(params.repeated)}")
    if params.malformed:
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail=f"names={_names(params.malformed)}")


def check_scope_spelling(scope: str) -> None:
    """Refuse a scope that is not spelled like one (RFC6749-3.3). A missing one is judged by who needs one."""
    if scope and _SCOPE.fullmatch(scope) is None:
        raise OAuthError(Fault.SCOPE)


def _is_malformed(value: str) -> bool:
    # Django decodes broken UTF-8 to U+FFFD; a NUL byte cannot be stored and ends a string for some readers.
    return "\ufffd" in value or len(value) > MAX_VALUE_LENGTH or not is_storable(value)


def _names(names: Iterable[str]) -> str:
    return ",".join(sorted(name[:40] for name in names)[:5])
