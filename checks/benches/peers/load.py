"""Gets a key for a second with the vendor's Python client, and prints the calls per second.

Each of the 64 calls in flight runs on a thread. The client also has an asynchronous form, which
uses fewer threads.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import rockset

# The constructor requires a host of the retired service.
client = rockset.RocksetClient(api_key="any", host="https://api.rs2.usw2.rockset.com")
client.api_client.configuration.host = os.environ["ROCKSET_APISERVER"]


def calls(end):
    count = 0
    while time.monotonic() < end:
        key = client.APIKeys.get(user="admin@me.com", name="my-app").data
        assert key.name == "my-app", key.name
        count += 1
    return count


def load(seconds):
    start = time.monotonic()
    counts = pool.map(calls, [start + seconds] * 64)
    return sum(counts) / (time.monotonic() - start)


with ThreadPoolExecutor(64) as pool:
    # Connects before the measurement.
    load(0.2)
    print(round(load(1)))
