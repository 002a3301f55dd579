"""Changes valid requests so that more of them succeed.

In the contract a role is any string, but the server has three roles; two fields of an update are
optional, but the server rejects both together. Half of the users and names are replaced by existing
ones, half of the new keys get an unused name, and half of the delete requests delete a key that was
created here. Without these changes, most requests would name missing keys or create existing ones.
"""

import itertools

import schemathesis

ROLES = ["read-only", "member", "admin"]
# Each of these users has each of these keys initially.
NAMES = [f"key-{count}" for count in range(4)]
USERS = ["self", "dev@me.com"]
FRESH = (f"fresh-{count}" for count in itertools.count())
CREATED = []


def number(value):
    """Returns a number that depends only on the value."""
    return sum(str(value).encode("utf-8", "surrogatepass"))


def known(value, values):
    return values[number(value) // 2 % len(values)] if number(value) % 2 else value


@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters or {}
    if parameters.get("name") == "initial":
        # The fuzzer finds this name in responses. The key authenticates it, so it must stay valid.
        parameters["name"] = NAMES[0]
    if case.method != case.operation.method.upper():
        # With the user `self` this is a different path of the contract, with other methods.
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
