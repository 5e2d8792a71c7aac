"""The wire: what a request asked, the facts beside it, and the answer or refusal that is written.

Owns: reading of parameters, issuers and addresses, pages and documents that carry an answer.
Entry points: the modules' functions, called by the endpoints.
Must not know: what is granted, and to whom.
"""
