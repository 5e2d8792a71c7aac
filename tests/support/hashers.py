"""Password hashing that costs next to nothing, for tests that are not about its cost."""

from identity.passwords.hashers import Argon2id


class CheapArgon2id(Argon2id):
    """The product's hasher with the smallest work that Argon2 allows. Same algorithm, same encoding."""

    time_cost = 1
    memory_cost = 8  # KiB
    parallelism = 1


class CountedArgon2id(CheapArgon2id):
    """The same, and it tells how often somebody asked it for its work."""

    calls = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).calls += 1
        encoded: str = super().encode(password, salt)
        return encoded

    def verify(self, password: str, encoded: str) -> bool:
        type(self).calls += 1
        return super().verify(password, encoded)
