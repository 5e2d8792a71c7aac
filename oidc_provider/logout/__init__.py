"""Sign-out: requests to it, its pages, and the notices to other applications, through the browser or by the server.

Entry points: the views, named in `urls`; `listeners` and the two channels register themselves.
Must not know: the name of a dialect.
"""
