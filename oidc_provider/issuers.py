"""Who we are to clients: the origin below which every issuer stands (decision 11)."""

from identity.origins import clear_cache, origin, public_origin

__all__ = ["clear_cache", "origin", "public_origin"]
