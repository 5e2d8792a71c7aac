"""What a client reads before it asks: metadata and keys.

Entry points: the views, named in `urls`; `metadata.describe`.
Must not know: people, grants.
"""
