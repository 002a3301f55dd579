"""Changes valid requests so that the server can fulfil more of them.

The contract says that a role is text, and the server knows three roles. It says that two fields of
an update are optional, and the server rejects both together. Every other user and name is one that
exists, every other new key has an unused name, and deletions take keys that were created here.
Otherwise nearly every request would be about something that does not exist, or exists already.
"""

import itertools

import schemathesis

ROLES = ["read-only", "member", "admin"]
# Each of these users has each of these keys from the start.
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
        # Responses contain this name. The key that authenticates would suspend or delete itself.
        parameters["name"] = NAMES[0]
    if case.method != case.operation.method.upper():
        # The path with the user `self` is another path of the contract, with other methods.
        if parameters.get("user") == "self":
            parameters["user"] = "dev@me.com"
        return
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
    if case.method == "DELETE":
        if CREATED and number(parameters) % 2:
            parameters["user"], parameters["name"] = "self", CREATED.pop()
        return
    if "user" in parameters:
        parameters["user"] = known(parameters["user"], USERS)
    if "name" in parameters:
        parameters["name"] = known(parameters["name"], NAMES)
