"""Directory management for a tenant's own systems (/api/v2/tenant/*).

Owns: the wire form of the directory: serializers, paging, permission scopes. No models, and no routes yet.
Entry points: `urls`, once its endpoints are built.
Must not know: rules of the directory (identity.services has them), its siblings sdk_api and miniapp.
"""
