"""Clients: their registration, what authenticates them, their redirect addresses and rights.

Owns: every write of a client and of its keys, scopes and rights in the tenant API.
Entry points: `registration`, `authentication.authenticate_client`, `cached.find`.
Must not know: grants, sign-ins, requests.
"""
