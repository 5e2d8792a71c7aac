"""Mini programs: codes for them, and the host applications that ask for those.

Entry points: `codes`, `hosts`, shown to other apps by `public`.
Must not know: requests, pages.
"""
