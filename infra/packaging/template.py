"""The CloudFormation template: Chalice's from app.py, with infra/resources.yaml laid over it.

Chalice names the Python that it runs on itself, and knows no SnapStart: both are put right here.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import yaml

from infra.packaging.commands import PackageError, run
from infra.paths import RESOURCES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from infra.packaging.platforms import Platform

# app.py reads its settings when it is imported; these are never deployed.
STAND_IN_ENVIRONMENT: Final = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "TABLE_NAME": "none",
    "WORKSPACE_BUCKET": "none",
    "RUN_OPERATION_FUNCTION": "none",
}
_API_HANDLER: Final = "APIHandler"
_ALIAS: Final = "live"
_EXECUTE: Final = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}"


def build_template(directory: Path, stage: str, platform: Platform) -> tuple[Path, Path]:
    """Return the template, and the archive of what Chalice packs: the application and itself.

    Works in the directory, so that the working tree stays as it is. Raises PackageError.
    """
    staging = _stage(directory)
    command = [*chalice_command(staging), "package", "--stage", stage]
    command += ["--merge-template", RESOURCES.name, "--template-format", "yaml", "dist"]
    failure = "Chalice cannot package the application"
    run(command, failure, cwd=staging, environment=STAND_IN_ENVIRONMENT, bare=True)
    template = staging / "dist" / "sam.yaml"
    document = yaml.safe_load(template.read_text())
    finish_template(document, platform)
    template.write_text(yaml.safe_dump(document, sort_keys=True, width=120))
    return template, staging / "dist" / "deployment.zip"


def application_files(root: Path = ROOT) -> list[Path]:
    """Return what the application consists of, and nothing else that lies about: a secret, say.

    Raises PackageError for a link, which may lead anywhere.
    """
    paths = [
        root / "app.py",
        *sorted((root / "chalicelib").rglob("*.py")),
        *sorted((root / ".chalice").glob("*.json")),
    ]
    if links := [
        str(path) for path in paths if path.resolve() != root.resolve() / path.relative_to(root)
    ]:
        raise PackageError(f"These are links, and are not packaged: {', '.join(links)}.")
    return paths


def chalice_command(project: Path) -> list[str]:
    """Return how Chalice's command begins; it is not a module that can be run."""
    code = "import sys; from chalice.cli import main; sys.exit(main())"
    return [sys.executable, "-c", code, "--project-dir", str(project)]


def finish_template(document: dict[str, Any], platform: Platform) -> None:
    """Name the platform in each function, let one stage call the API's, and wake it by snapshot.

    Nobody waits for the other functions to wake, and a snapshot is paid for by the hour.
    """
    resources = document["Resources"]
    # Chalice lets every stage of the REST API call the function: there is one.
    resources[f"{_API_HANDLER}InvokePermission"]["Properties"]["SourceArn"] = {
        "Fn::Sub": f"{_EXECUTE}:${{RestAPI}}/{resources['RestAPI']['Properties']['StageName']}/*"
    }
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["Runtime"] = f"python{platform.python_version}"
            resource["Properties"]["Architectures"] = [platform.architecture]
    # For the next deployment, which keeps what it is not told to change.
    document.setdefault("Outputs", {}).update(
        PythonVersion={"Value": platform.python_version},
        Architecture={"Value": platform.architecture},
    )
    if platform.has_snap_start:
        _add_snap_start(resources)


def _add_snap_start(resources: dict[str, Any]) -> None:
    """Snapshots are of published versions, so API Gateway has to call one, by its alias."""
    resources[_API_HANDLER]["Properties"] |= {
        "SnapStart": {"ApplyOn": "PublishedVersions"},
        "AutoPublishAlias": _ALIAS,
        "AutoPublishAliasAllProperties": True,
    }
    alias = f"{_API_HANDLER}Alias{_ALIAS}"  # as the SAM transform names it
    resources[f"{_API_HANDLER}InvokePermission"]["Properties"]["FunctionName"] = {"Ref": alias}
    for path in resources["RestAPI"]["Properties"]["DefinitionBody"]["paths"].values():
        for method in path.values():
            if integration := method.get("x-amazon-apigateway-integration"):
                _call_alias(integration, alias)


def _call_alias(integration: dict[str, Any], alias: str) -> None:
    uri = integration.get("uri")
    if isinstance(uri, dict):
        function = f"${{{_API_HANDLER}.Arn}}"
        uri["Fn::Sub"] = uri["Fn::Sub"].replace(function, f"${{{alias}}}")


def _stage(directory: Path) -> Path:
    """Lay out what Chalice packages; the dependencies join later. Raises PackageError."""
    staging = directory / "app"
    for path in application_files():
        copy = staging / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    shutil.copy(RESOURCES, staging)
    (staging / "requirements.txt").touch()
    return staging
