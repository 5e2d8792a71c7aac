"""Directory management for a tenant's own systems (/api/v2/tenant/*).

Owns: the wire form of the directory: serializers, paging, ids, times, rights, the error handler. No models.
Entry points: `urls`.
Must not know: rules of the directory (identity.directory has them), its siblings sdk_api and miniapp.
"""
