"""Second factors: what a person proves beside the first one.

Entry points: `table.possible` and `table.chosen`. A factor is one file with a `Factor` and one line in `table.FACTORS`.
A factor asks, and checks what comes back. It opens no session and moves no sign-in on: that is `machine`'s business.
"""
