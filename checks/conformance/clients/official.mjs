// Runs the vendor's published JavaScript client against the server at ROCKSET_APISERVER.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(process.env.MODULES);
const rockset = require("@rockset/client").default;

const client = (key) => rockset(key, process.env.ROCKSET_APISERVER).apikeys;
// The client throws the error's body, which has no status.
const rejected = (type, call) =>
  assert.rejects(call, (error) => {
    assert.equal(error.type, type);
    assert.ok(error.trace_id && error.message);
    return true;
  });

const keys = client(process.env.ROCKSET_APIKEY);
const user = "admin@me.com";

for (const name of ["javascript", "my key/ü", "a+b&c=d?e#f%20"]) {
  const { data: created } = await keys.createApiKey({ name, role: "member" });
  assert.equal(created.name, name);
  assert.equal(created.key.length, 64);
  assert.equal(created.role, "member");
  assert.equal(created.state, "ACTIVE");
  assert.equal(created.created_by, user);

  const names = async (list) => (await list).data.map((key) => key.name);
  assert.ok((await names(keys.listApiKeys("self"))).includes(name));
  assert.ok((await names(keys.listApiKeys(user))).includes(name));
  assert.equal((await keys.getApiKey("self", name)).data.key, created.key.slice(0, 6));
  assert.equal((await keys.getApiKey(user, name, false)).data.key, created.key.slice(0, 6));
  assert.equal((await keys.getApiKey("self", name, true)).data.key, created.key);

  const own = client(created.key);
  assert.ok((await names(own.listApiKeys("self"))).includes(name));
  assert.ok((await keys.getApiKey("self", name)).data.last_access_time);

  const update = (state) => keys.updateApiKey(name, "self", { state });
  assert.equal((await update("SUSPENDED")).data.state, "SUSPENDED");
  await rejected("AUTHEXCEPTION", () => own.listApiKeys("self"));
  assert.equal((await update("ACTIVE")).data.state, "ACTIVE");

  await rejected("ALREADYEXISTS", () => keys.createApiKey({ name }));
  assert.equal((await keys.deleteApiKey(name, "self")).data.name, name);
  await rejected("NOTFOUND", () => keys.getApiKey("self", name));
  await rejected("NOTFOUND", () => keys.deleteApiKey(name, "self"));
  await rejected("NOTFOUND", () => update("ACTIVE"));
}

await rejected("INVALIDINPUT", () => keys.createApiKey({ name: "k", role: "king" }));
await rejected("NOTFOUND", () => keys.listApiKeys("nobody@me.com"));
await rejected("AUTHEXCEPTION", () => client("x".repeat(64)).listApiKeys("self"));
await rejected("FORBIDDEN", () => client(process.env.MEMBER_KEY).listApiKeys(user));
