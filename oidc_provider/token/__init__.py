"""What programs ask with a token or for one: token, introspection, revocation and userinfo endpoints.

Owns: the grants, one file each, and the table of them in `exchange`.
Entry points: `answer` of each endpoint, from a request of `wire.machine` to its answer, named in `urls`.
Must not know: the framework's requests, how rows are written, the name of a dialect.
"""
