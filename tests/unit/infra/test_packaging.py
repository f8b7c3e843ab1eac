"""What a bundle is made for, and that the same tree always makes the same zip."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from infra.package import package_template
from infra.packaging.archive import LARGEST_BYTES, write_archive
from infra.packaging.commands import PackageError
from infra.packaging.platforms import Platform, find_interpreter
from infra.packaging.template import application_files, finish_template


def create_template() -> dict[str, Any]:
    uri = "arn:aws:apigateway:eu-west-1:lambda:path/functions/${APIHandler.Arn}/invocations"
    integration = {"x-amazon-apigateway-integration": {"uri": {"Fn::Sub": uri}}}
    body = {"paths": {"/api/health": {"get": integration}}}
    return {
        "Resources": {
            "APIHandler": {"Type": "AWS::Serverless::Function", "Properties": {}},
            "RunOperation": {"Type": "AWS::Serverless::Function", "Properties": {}},
            "APIHandlerInvokePermission": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {"FunctionName": {"Ref": "APIHandler"}},
            },
            "RestAPI": {
                "Type": "AWS::Serverless::Api",
                "Properties": {"DefinitionBody": body, "StageName": "prod"},
            },
        }
    }


@pytest.mark.parametrize(
    ("python_version", "architecture", "names"),
    [("3.10", "arm64", "PYTHON_VERSION"), ("3.12", "riscv64", "ARCH"), ("3.1", "x86_64", "3.14")],
)
def test_a_platform_that_lambda_lacks_is_refused_with_the_choices(
    python_version: str, architecture: str, names: str
) -> None:
    with pytest.raises(PackageError, match=names):
        Platform(python_version, architecture)


def test_wheels_are_lambdas_own() -> None:
    options = Platform("3.13", "arm64").wheel_options()
    assert "--platform=manylinux_2_28_aarch64" in options
    assert "--python-version=3.13" in options


def test_wheels_for_python_3_11_run_on_the_older_amazon_linux() -> None:
    options = Platform("3.11", "x86_64").wheel_options()
    assert "--platform=manylinux2014_x86_64" in options
    assert not any("manylinux_2_28" in option for option in options)


def test_the_interpreter_of_this_environment_is_found() -> None:
    assert find_interpreter(Platform.here().python_version) is not None


def test_an_interpreter_that_is_not_here_is_not_found() -> None:
    assert find_interpreter("3.99") is None


def test_every_function_is_told_its_platform() -> None:
    template = create_template()
    finish_template(template, Platform("3.11", "arm64"))
    for name in ("APIHandler", "RunOperation"):
        properties = template["Resources"][name]["Properties"]
        assert properties == {"Runtime": "python3.11", "Architectures": ["arm64"]}


@pytest.mark.parametrize("python_version", ["3.12", "3.13", "3.14"])
def test_the_api_wakes_from_a_snapshot_where_lambda_has_them(python_version: str) -> None:
    template = create_template()
    finish_template(template, Platform(python_version, "arm64"))
    resources = template["Resources"]
    assert resources["APIHandler"]["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert "SnapStart" not in resources["RunOperation"]["Properties"]


def test_a_snapshot_is_of_a_version_so_the_gateway_calls_one() -> None:
    template = create_template()
    finish_template(template, Platform("3.12", "x86_64"))
    resources = template["Resources"]
    route = resources["RestAPI"]["Properties"]["DefinitionBody"]["paths"]["/api/health"]["get"]
    uri = route["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    assert uri.endswith("/${APIHandlerAliaslive}/invocations")
    permission = resources["APIHandlerInvokePermission"]["Properties"]
    assert permission["FunctionName"] == {"Ref": "APIHandlerAliaslive"}


def test_one_stage_alone_may_call_the_api() -> None:
    template = create_template()
    finish_template(template, Platform.here())
    permission = template["Resources"]["APIHandlerInvokePermission"]["Properties"]
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${RestAPI}/prod/*")


def test_i07_sam_makes_no_stage_beside_the_one_that_is_bounded(tmp_path: Path) -> None:
    template = package_template(tmp_path, stage="prod", platform=Platform.here())
    document = yaml.safe_load(template.read_text())
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    made = Translator({}, Parser()).translate(document, {})["Resources"].values()
    stages = [each for each in made if each["Type"] == "AWS::ApiGateway::Stage"]
    deployments = [each for each in made if each["Type"] == "AWS::ApiGateway::Deployment"]
    assert [each["Properties"]["StageName"] for each in stages] == ["prod"]
    assert stages[0]["Properties"]["MethodSettings"]
    assert [each["Properties"].get("StageName") for each in deployments] == [None]


def test_what_lies_about_beside_the_application_is_not_packaged(tmp_path: Path) -> None:
    for name in ("app.py", "chalicelib/a.py", "chalicelib/.env", "chalicelib/kubeconfig.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    names = [str(path.relative_to(tmp_path)) for path in application_files(tmp_path)]
    assert names == ["app.py", "chalicelib/a.py"]


def test_a_link_is_not_followed_into_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "chalicelib/a.py").symlink_to(tmp_path / "app.py")
    with pytest.raises(PackageError, match=r"links.*a\.py"):
        application_files(tmp_path)


def test_times_modes_and_the_order_of_creation_leave_no_trace_in_the_zip(tmp_path: Path) -> None:
    digests = set()
    for number, names in enumerate((("a.py", "b/c.py"), ("b/c.py", "a.py"))):
        tree = tmp_path / str(number)
        for name in names:
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            path.chmod(0o600 + 0o44 * number)
            os.utime(path, (number, number))
        archive = tmp_path / f"{number}.zip"
        write_archive(tree, archive)
        digests.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_bundle_that_grows_too_large_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "big").write_bytes(os.urandom(LARGEST_BYTES))
    with pytest.raises(PackageError, match=r"10\.0 MB"):
        write_archive(tree, tmp_path / "big.zip")
