"""Grants: the rows of codes and tokens, what they are worth, and the ID tokens that tell of them.

Owns: every write of a code or token.
Entry points: `tokens` for what `basis` describes, `rows`, `id_tokens`, `pkce`, `hints`.
Must not know: endpoints, requests, pages.
"""
