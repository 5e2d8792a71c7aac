"""Development: DEBUG unless the environment says otherwise, secrets kept in var/secrets.env."""

from config import local_secrets
from config.env import SECRETS_FILE, read
from config.settings.base import build

local_secrets.ensure(SECRETS_FILE)
env = read(debug=True, secrets_file=SECRETS_FILE)

globals().update(build(env))
