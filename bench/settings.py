"""Settings of the measured server: production's code paths, reached over plain http on loopback.

DEBUG is off, so that templates are cached and statements are not recorded; only what binds production to https
(cookies, redirect, the tenant's domain as issuer) is as in development.
"""

import os

from config.env import read
from config.settings.base import build

env = read(debug=True)

built = build(env)
built["DEBUG"] = False
built["WHITENOISE_AUTOREFRESH"] = False
built["WHITENOISE_USE_FINDERS"] = True
built["LOGGING"]["root"]["level"] = "WARNING"
if os.environ.get("BENCH_CHEAP_HASH"):
    built["PASSWORD_HASHERS"] = ["bench.hashers.CheapArgon2id", *built["PASSWORD_HASHERS"]]
if os.environ.get("BENCH_COUNT_QUERIES"):
    built["MIDDLEWARE"] = ["bench.queries.CountQueries", *built["MIDDLEWARE"]]

globals().update(built)
