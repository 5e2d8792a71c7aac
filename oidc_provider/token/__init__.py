"""What programs ask with a token or for one: token, introspection, revocation and userinfo endpoints.

Owns: HTTP turned into one call and one answer. Entry points: the views, named in `urls`.
Must not know: rows, the name of a dialect.
"""
