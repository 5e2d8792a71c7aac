"""A tenant's configuration in a file: sections, read and applied, and what applying would change.

Owns: the sections of identity; other apps add theirs in `identity.registry`.
Entry points: `files.apply`.
Must not know: requests, what other apps' sections mean.
"""
