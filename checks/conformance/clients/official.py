"""Runs the vendor's published Python client against the server at ROCKSET_APISERVER."""

import os
import sys

import rockset
from rockset.exceptions import (
    BadRequestException,
    ForbiddenException,
    NotFoundException,
    RocksetException,
    UnauthorizedException,
)


def client(key):
    # The constructor requires a host of the retired service.
    client = rockset.RocksetClient(api_key=key, host="https://api.rs2.usw2.rockset.com")
    client.api_client.configuration.host = os.environ["ROCKSET_APISERVER"]
    return client


def rejected(exception, status, call):
    try:
        call()
    except exception as error:
        assert error.status == status, f"expected {status}, but got {error.status}"
        assert error.body and "trace_id" in str(error.body), error.body
        return
    raise AssertionError(f"expected {exception.__name__}")


keys = client(os.environ["ROCKSET_APIKEY"]).APIKeys
user, member = "admin@me.com", os.environ["MEMBER_KEY"]

for name in ["python", "my key/ü", "a+b&c=d?e#f%20"]:
    created = keys.create(name=name, role="member").data
    assert created.name == name and len(created.key) == 64, created
    assert created.role == "member" and created.state == "ACTIVE", created
    assert created.created_by == user, created

    assert name in [key.name for key in keys.list(user="self").data]
    assert name in [key.name for key in keys.list(user=user).data]
    assert keys.get(user="self", name=name).data.key == created.key[:6]
    assert keys.get(user=user, name=name).data.name == name
    assert keys.get(user="self", name=name, reveal=False).data.key == created.key[:6]
    assert keys.get(user="self", name=name, reveal=True).data.key == created.key

    own = client(created.key).APIKeys
    assert name in [key.name for key in own.list(user="self").data]
    assert keys.get(user="self", name=name).data.last_access_time

    assert keys.update(user="self", name=name, state="SUSPENDED").data.state == "SUSPENDED"
    rejected(UnauthorizedException, 401, lambda: own.list(user="self"))
    assert keys.update(user=user, name=name, state="ACTIVE").data.state == "ACTIVE"

    rejected(RocksetException, 409, lambda: keys.create(name=name))
    assert keys.delete(user="self", name=name).data.name == name
    rejected(NotFoundException, 404, lambda: keys.get(user="self", name=name))
    rejected(NotFoundException, 404, lambda: keys.delete(user="self", name=name))
    rejected(NotFoundException, 404, lambda: keys.update(user="self", name=name, state="ACTIVE"))

rejected(BadRequestException, 400, lambda: keys.create(name="k", role="king"))
rejected(NotFoundException, 404, lambda: keys.list(user="nobody@me.com"))
rejected(UnauthorizedException, 401, lambda: client("x" * 64).APIKeys.list(user="self"))
rejected(ForbiddenException, 403, lambda: client(member).APIKeys.list(user=user))
