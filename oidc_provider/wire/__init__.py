"""The wire: what a request asked, the facts beside it, and the answer or refusal that is written.

Owns: parameters and how they are read (`parameters`), the facts of a request (`facts`), what programs ask
and are answered (`machine`), how a refusal is said (`spelling`).
Entry points: these, and Django's edge: `front` for programs, `answers`, `refusals` and `scripted` for browsers.
Must not know: what is granted, and to whom.
"""
