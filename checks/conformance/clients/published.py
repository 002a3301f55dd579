"""Prints the facts of the vendor's published Python client about the API-keys operations.

The output is a JSON object that maps places to values, with the places of `facts.rs`.
"""

import inspect
import json
import re

import rockset
from rockset.api.api_keys_api import APIKeys
from rockset.configuration import Configuration
from rockset.model.error_model import ErrorModel

TYPES = {str: "string", bool: "boolean", int: "integer"}
# A line of a docstring, for example `role (str): Role of the key.. [optional]  # noqa: E501`
ARGUMENT = re.compile(r"^\s+(\w+) \(.+?\): (.*)$", re.MULTILINE)

facts = {}


def docs(function):
    found = {}
    for name, text in ARGUMENT.findall(function.__doc__ or ""):
        text = re.sub(r"\.? ?\[(optional|required)\].*", "", text).strip()
        if text:
            found[name] = text
    return found


def value(place, types, allowed):
    [of] = [it for it in types if it is not type(None)]
    if isinstance(of, list):
        facts[f"{place}.type"] = "array"
        facts[f"{place}.items.schema"] = of[0].__name__
        model(of[0])
    elif of in TYPES:
        facts[f"{place}.type"] = TYPES[of]
    else:
        facts[f"{place}.schema"] = of.__name__
        model(of)
    if allowed:
        facts[f"{place}.enum"] = list(allowed.values())


def model(of):
    schema = f"schemas.{of.__name__}"
    if f"{schema}.type" in facts:
        return
    facts[f"{schema}.type"] = "object"
    required = inspect.signature(of._from_openapi_data).parameters
    described = docs(of.__init__)
    for attribute, types in of.openapi_types.items():
        place = f"{schema}.properties.{of.attribute_map[attribute]}"
        value(place, types, of.allowed_values.get((attribute,)))
        facts[f"{place}.required"] = attribute in required
        if attribute in described:
            facts[f"{place}.description"] = described[attribute]


def operation(endpoint, name):
    settings = endpoint.settings
    facts[f"{name}.method"] = settings["http_method"]
    facts[f"{name}.path"] = settings["endpoint_path"]
    [response] = settings["response_type"]
    [accept] = endpoint.headers_map["accept"]
    facts[f"{name}.responses.200.content.{accept}.schema"] = response.__name__
    model(response)
    for parameter, location in endpoint.location_map.items():
        types = endpoint.openapi_types[parameter]
        if location == "body":
            [media] = endpoint.headers_map["content_type"]
            facts[f"{name}.requestBody.content.{media}.schema"] = types[0].__name__
            model(types[0])
            continue
        place = f"{name}.parameters.{endpoint.attribute_map[parameter]}"
        facts[f"{place}.in"] = location
        facts[f"{place}.required"] = parameter in endpoint.params_map["required"]
        value(place, types, None)


keys = APIKeys()
for name in ["create", "list", "get", "update", "delete"]:
    suffix = "api_keys" if name == "list" else "api_key"
    operation(getattr(keys, f"{name}_endpoint"), f"{name}_{suffix}")
    for parameter, text in docs(getattr(APIKeys, name)).items():
        place = f"{name}_{suffix}.parameters.{parameter}"
        if f"{place}.in" in facts:
            facts[f"{place}.description"] = text
model(ErrorModel)

scheme = Configuration(api_key="key").auth_settings()["apikey"]
word, key = scheme["value"].split(" ")
assert key == "key"
facts["securitySchemes.apikeys.in"] = scheme["in"]
facts["securitySchemes.apikeys.name"] = scheme["key"]
facts["securitySchemes.apikeys.x-scheme"] = word
for region in rockset.Regions:
    facts[f"servers.{region.value}.url"] = region.value

print(json.dumps(facts))
