"""Prints samples of the schemas in the file SCHEMAS, made by hypothesis-jsonschema.

The file maps names to JSON Schemas. The output maps each name to values that the schema accepts,
and to such values after one random change.
"""

import copy
import json
import multiprocessing
import os
import warnings

from hypothesis import HealthCheck, given, settings, strategies
from hypothesis_jsonschema import from_schema

COUNT = 200
NUMBERS = [5, 1.5, 5.0, 2**31, 2**64 - 1, -1e300]
ODD = [
    *NUMBERS,
    None,
    True,
    "",
    ".",
    "..",
    "...",
    "UNKNOWN",
    "ACTIVE",
    "2030-01-01",
    "2030-13-01T00:00:00Z",
    [],
    ["ACTIVE"],
    {},
    {"name": "n", "key": "k"},
    [{"name": "n", "key": "k"}],
]


def places(value, place=()):
    """Yields the places of this value and of all values in it."""
    yield place
    items = value.items() if isinstance(value, dict) else []
    items = enumerate(value) if isinstance(value, list) else items
    for key, below in items:
        yield from places(below, (*place, key))


@strategies.composite
def changed(draw, valid):
    value = copy.deepcopy(draw(valid))
    place = draw(strategies.sampled_from(list(places(value))))
    odd = copy.deepcopy(draw(strategies.sampled_from(ODD)))
    if not place:
        if isinstance(value, dict) and draw(strategies.booleans()):
            # Adds a field, which the schema may have or not, with any value.
            value[draw(strategies.sampled_from(["another", "role", "state", "line", "data"]))] = odd
            return value
        return odd
    owner = value
    for key in place[:-1]:
        owner = owner[key]
    old = owner[place[-1]]
    if isinstance(old, int) and draw(strategies.booleans()):
        # Another number is what a validator confuses with an integer most easily.
        owner[place[-1]] = draw(strategies.sampled_from(NUMBERS))
    elif draw(strategies.booleans()):
        owner[place[-1]] = odd
    else:
        del owner[place[-1]]
    return value


def samples(strategy):
    found = []

    @settings(
        max_examples=COUNT,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value):
        found.append(copy.deepcopy(value))

    collect()
    return found


def of_schema(named):
    name, schema = named
    valid = from_schema(schema)
    return name, {"valid": samples(valid), "changed": samples(changed(valid))}


warnings.simplefilter("ignore")
if __name__ == "__main__":
    with open(os.environ["SCHEMAS"], encoding="utf-8") as file:
        schemas = json.load(file)
    with multiprocessing.Pool() as pool:
        print(json.dumps(dict(pool.imap(of_schema, schemas.items()))))
