"""Signing in: from "who are you" to a session, for browsers and apps alike.

Owns: the state machine of a sign-in, the factors, codes and puzzles, registration, forgotten passwords, and what
signed-in people do to their own account.
Entry points: `login` for browsers, `machine` for whoever has proved a first factor, one module for each other way in.
Must not know: requests (but for `forms` and `backends`, which Django asks for), wire names, protocols.
"""
