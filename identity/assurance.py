"""How sure we are of a person: three levels, computed from the factors that were recorded (decision 21, S28).

The values are the same in OpenID Connect (`acr`) and SAML (authentication context class).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

SINGLE_FACTOR = "urn:monban:acr:single-factor"
MULTI_FACTOR = "urn:monban:acr:multi-factor"
PHISHING_RESISTANT = "urn:monban:acr:phishing-resistant"  # several factors, one of them a key bound to our origin

# From the weakest; a session of one level satisfies every level before it.
ACR_VALUES = (SINGLE_FACTOR, MULTI_FACTOR, PHISHING_RESISTANT)
# What requests may call a level: our names, that of OpenID's EAP profile, and those of REFEDS.
LEVELS: Mapping[str, str] = MappingProxyType(
    {
        **{level: level for level in ACR_VALUES},
        "phr": PHISHING_RESISTANT,
        "https://refeds.org/profile/mfa": MULTI_FACTOR,
        "https://refeds.org/profile/sfa": SINGLE_FACTOR,
    }
)

# Authentication methods (RFC8176-2).
PASSWORD = "pwd"
ONE_TIME_CODE = "otp"  # a code sent by e-mail
TEXT_MESSAGE = "sms"
HARDWARE_KEY = "hwk"  # a passkey that stays on its device
SOFTWARE_KEY = "swk"  # a passkey that its owner's devices share
USER_VERIFIED = "user"  # recorded beside a key only, where the device asked who it is: by a finger, a face or a PIN
FEDERATED = "fed"  # an account at another provider; RFC8176 has no word for it
MULTIPLE_FACTORS = "mfa"

# What a method shows: something the person knows, something the person has, or what somebody else vouches for.
_KINDS = {
    PASSWORD: "knowledge",
    ONE_TIME_CODE: "possession",
    TEXT_MESSAGE: "possession",
    HARDWARE_KEY: "possession",
    SOFTWARE_KEY: "possession",
    USER_VERIFIED: "verification",
    FEDERATED: "federation",
}
_KEYS = frozenset({HARDWARE_KEY, SOFTWARE_KEY})


def acr_of(amr: Sequence[str]) -> str:
    """Return the level that these recorded methods amount to: two methods of one kind are still one factor."""
    kinds = {_KINDS[method] for method in amr if method in _KINDS}
    if len(kinds) < 2:
        return SINGLE_FACTOR
    return MULTI_FACTOR if _KEYS.isdisjoint(amr) else PHISHING_RESISTANT


def with_summary(amr: Sequence[str]) -> list[str]:
    """Return the methods for a claim, each once and in order of use, with `mfa` where they are several factors."""
    methods = list(dict.fromkeys(method for method in amr if method != MULTIPLE_FACTORS))
    return [*methods, MULTIPLE_FACTORS] if satisfies(acr_of(methods), MULTI_FACTOR) else methods


def satisfies(acr: str, required: str) -> bool:
    """Return whether a level is at least the required one. An unknown requirement is never met."""
    if not required:
        return True
    return required in ACR_VALUES and acr in ACR_VALUES and ACR_VALUES.index(acr) >= ACR_VALUES.index(required)


def strongest(*levels: str) -> str:
    """Return the highest of these levels; "" asks for nothing. An unknown one stays, as nothing ever reaches it."""
    unknown = [level for level in levels if level and level not in ACR_VALUES]
    return unknown[0] if unknown else max(levels, key=lambda level: ACR_VALUES.index(level) if level else -1)
