"""Keys that sign, and the secrets that seal rows.

Owns: signing keys and their rotation, sealing anew, and the proof that a process has the secrets of the rows.
Entry points: `keys`, `resealing`, `secret_check`.
Must not know: what is signed, people, protocols.
"""
