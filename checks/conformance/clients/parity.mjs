// Makes the calls in the file CALLS with the vendor's JavaScript client.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.MODULES);
const keys = require("@rockset/client").default("any", process.env.ROCKSET_APISERVER).apikeys;

const operations = {
  create_api_key: ({ body }) => keys.createApiKey(body),
  list_api_keys: ({ user }) => keys.listApiKeys(user),
  get_api_key: ({ user, name, reveal }) => keys.getApiKey(user, name, reveal),
  update_api_key: ({ user, name, body }) => keys.updateApiKey(name, user, body),
  delete_api_key: ({ user, name }) => keys.deleteApiKey(name, user),
};

for (const call of JSON.parse(readFileSync(process.env.CALLS, "utf8"))) {
  await operations[call.operation](call);
}
