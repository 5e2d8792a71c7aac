"""Passwords: policy, hashes, history and age.

Owns: every write of a password, with its check, its transaction and its audit event.
Entry points: `credentials`; `hashers` are named in the settings.
Must not know: sign-ins, requests, protocols.
"""
