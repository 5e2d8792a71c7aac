"""Who we are to clients: the address below which every issuer stands (decision 11)."""

from identity.origins import base, clear_cache, public_base

__all__ = ["base", "clear_cache", "public_base"]
