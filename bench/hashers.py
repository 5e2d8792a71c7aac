"""A password hash that costs nothing, to see what a sign-in costs beside the hash."""

from identity.passwords.hashers import Argon2id


class CheapArgon2id(Argon2id):
    algorithm = "argon2id_bench"
    memory_cost = 8  # KiB
    time_cost = 1
    parallelism = 1
