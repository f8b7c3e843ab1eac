"""Friends API's entry point: settings, parts, routes, and the functions without one."""

import os
from typing import Any

from chalice.app import Chalice

from chalicelib.bootstrap import wire
from chalicelib.logs import configure_logging
from chalicelib.routes import functions
from chalicelib.routes.handler import register
from chalicelib.settings import Settings

app = Chalice(app_name="friends-api", configure_logs=False)
dependencies = wire(Settings.from_env(os.environ))
configure_logging(dependencies.settings.log_level)
register(app, dependencies.services)


@app.lambda_function(name="run_operation")
def run_operation(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's own types
    """Run a friend's accepted operations: {"friend_id", "operation_id"}."""
    return functions.run_operation(dependencies.worker, event, context)


# The schedule is in infra/resources.yaml: Chalice's own decorator takes no event but EventBridge's.
@app.lambda_function(name="reconcile")
def reconcile(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's own types
    """Converge everything: {}. Or one friend: {"friend_id"}. Only plan: {"dry_run": true}."""
    return functions.reconcile(dependencies.reconciler, event, context)
