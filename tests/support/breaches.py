"""The range service of Pwned Passwords on loopback, written from its documentation."""

from __future__ import annotations

import hashlib

from tests.support.gateways import Answer, Loopback


def digest_of(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


class RangeService(Loopback):
    """Answers ranges of the passwords it knows, with padding where it is asked for; or what `scripted` says."""

    def __init__(self, known: dict[str, int]) -> None:
        super().__init__()
        self.known = {digest_of(password): count for password, count in known.items()}
        self.paths: list[str] = []
        self.padded: list[bool] = []
        self.scripted: tuple[int, dict[str, str], bytes] | None = None
        self.url += "/range"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.paths.append(path)
        self.padded.append(headers.get("add-padding") == "true")
        if self.scripted:
            status, more, text = self.scripted
            return status, text, more
        return 200, self.range_of(path.rsplit("/", 1)[1])

    def range_of(self, prefix: str) -> bytes:
        lines = [f"{digest[5:]}:{count}" for digest, count in self.known.items() if digest.startswith(prefix)]
        lines += [f"{digest_of(f'padding {number}')[5:]}:0" for number in range(20)]
        return "\r\n".join(sorted(lines)).encode()
