"""Reading for others: look-ups and lists of the directory, and profiles.

Owns: queries that protocols and APIs need; no rule that refuses a change.
Entry points: `directory`, `profiles`.
Must not know: requests, wire names, protocols.
"""
