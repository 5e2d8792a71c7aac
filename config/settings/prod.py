"""Production: everything comes from the environment, and a missing secret stops the start."""

from config.env import read
from config.settings.base import build

env = read(debug=False)

globals().update(build(env))
