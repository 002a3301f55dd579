"""Makes the calls in the file CALLS with the vendor's Python client."""

import json
import os

import rockset

# The constructor requires a host of the retired service.
client = rockset.RocksetClient(api_key="any", host="https://api.rs2.usw2.rockset.com")
client.api_client.configuration.host = os.environ["ROCKSET_APISERVER"]
keys = client.APIKeys

with open(os.environ["CALLS"], encoding="utf-8") as file:
    calls = json.load(file)

for call in calls:
    method = getattr(keys, call.pop("operation").split("_")[0])
    body = call.pop("body", {})
    method(**call, **body)
