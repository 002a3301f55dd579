"""Makes valid requests ones that the server can do something with.

The contract says of what form a role is, and the server knows three; it says that two fields of an
update are optional, and the server refuses both together. Every other user and name is one that may
be there, a new key has a name of its own as often, and deletions go through the keys that were
created, so that not every request is about something that is not there or there already.
"""

import itertools

import schemathesis

ROLES = ["read-only", "member", "admin"]
NAMES = [f"key-{count}" for count in range(4)]
USERS = ["self", "dev@me.com"]
FRESH = (f"fresh-{count}" for count in itertools.count())
CREATED = []


def number(value):
    """A number that is always the same for a value, to choose by."""
    return sum(str(value).encode("utf-8", "surrogatepass"))


def known(value, values):
    return values[number(value) // 2 % len(values)] if number(value) % 2 else value


@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters or {}
    if parameters.get("name") == "initial":
        # The key that signs the requests, which answers tell of, would suspend or delete itself.
        parameters["name"] = NAMES[0]
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, dict):
        if "role" in case.body:
            case.body["role"] = ROLES[number(case.body["role"]) % 3]
        if "expiry_time" in case.body and case.body.get("clear_expiry_time"):
            del case.body["clear_expiry_time"]
        if "created_by" in case.body:
            case.body["created_by"] = known(case.body["created_by"], USERS)
        if "name" in case.body:
            if number(case.body) % 2:
                CREATED.append(next(FRESH))
                case.body["name"] = CREATED[-1]
            else:
                case.body["name"] = known(case.body["name"], NAMES)
    if case.method == "DELETE" and CREATED and number(parameters) % 2:
        parameters["user"], parameters["name"] = "self", CREATED.pop()
        return
    if "user" in parameters:
        parameters["user"] = known(parameters["user"], USERS)
    if "name" in parameters:
        parameters["name"] = known(parameters["name"], NAMES)
