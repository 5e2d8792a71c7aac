"""What a client reads before it asks: metadata and keys.

Entry points: `published`, from a request of `wire.machine` to its answer, named in `urls`; `metadata.describe`.
Must not know: people, grants.
"""
