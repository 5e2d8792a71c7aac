"""Password hashing that costs next to nothing, for tests that are not about its cost."""

from identity.hashers import Argon2id


class CheapArgon2id(Argon2id):
    """The product's hasher with the smallest work that Argon2 allows. Same algorithm, same encoding."""

    time_cost = 1
    memory_cost = 8  # KiB
    parallelism = 1
