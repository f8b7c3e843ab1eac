"""Friends API's entry point: settings, parts, routes."""

import os

from chalice.app import Chalice

from chalicelib.bootstrap import wire
from chalicelib.logs import configure_logging
from chalicelib.routes.handler import register
from chalicelib.settings import Settings

app = Chalice(app_name="friends-api", configure_logs=False)
dependencies = wire(Settings.from_env(os.environ))
configure_logging(dependencies.settings.log_level)
register(app, dependencies.services)
