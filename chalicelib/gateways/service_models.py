"""What botocore has to read before it can make a client: the descriptions of our services alone.

Its own loader lists four hundred services to check a name, and parses every endpoint of all of them
(endpoints.json, a megabyte). Nothing is lost without: the services here resolve their endpoints by
rule sets of their own. A test compares the requests of both, region by region.

An item of DynamoDB's, and an attribute, are described as documents, which botocore hands through as
they are on the wire: it would look for each attribute under ten types, and that was two fifths of
the time that a pass computed.
"""

from typing import Any, Final

from botocore.loaders import Loader

_SERVICES: Final = ("dynamodb", "lambda", "s3", "secretsmanager")
_AS_THEY_ARE: Final = ("AttributeMap", "AttributeValue")
_NO_ENDPOINTS: Final = {"version": 3, "partitions": []}


class ServiceModels(Loader):
    """botocore's loader of descriptions, of the services that are used here."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the services, of which each has every type."""
        del type_name
        return list(_SERVICES)

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """Return a description and where it was found."""
        if name == "endpoints":
            return _NO_ENDPOINTS, self.BUILTIN_DATA_PATH
        found: tuple[Any, str] = super().load_data_with_path(name)
        description, path = found
        if name.startswith("dynamodb/") and name.endswith("/service-2"):
            as_it_is = {"type": "structure", "members": {}, "document": True}
            shapes = {**description["shapes"], **dict.fromkeys(_AS_THEY_ARE, as_it_is)}
            description = {**description, "shapes": shapes}
        return description, path


# One for the process: it keeps what it has read.
SERVICE_MODELS: Final = ServiceModels()
