"""The authorization endpoint: request, interaction, consent and its page, the way back.

Owns: what is asked of the person before a code is given. Entry points: the views, named in `urls`; `consent`.
Must not know: the name of a dialect.
"""
