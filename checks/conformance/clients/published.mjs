// Prints the facts of the vendor's published JavaScript client about the API-keys operations: models
// and signatures from its type declarations, requests from the client itself.
//
// The output is a JSON object that maps places to values, with the places of `facts.rs`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.MODULES);
const generated = require.resolve("@rockset/client/dist/codegen/api.js");
const declarations = readFileSync(generated.replace(/\.js$/, ".d.ts"), "utf8");
const code = readFileSync(generated, "utf8");

const facts = {};

// Returns the only match: with several, the declarations are not as expected.
const one = (text, pattern) => {
  const matches = [...text.matchAll(pattern)];
  assert.equal(matches.length, 1, `${pattern} matches ${matches.length} times`);
  return matches[0][1];
};

const value = (place, type) => {
  const array = type.match(/^Array<(\w+)>$/);
  const enumeration = type.match(/^(\w+)\.(\w+)$/);
  if (array) {
    facts[`${place}.type`] = "array";
    facts[`${place}.items.schema`] = array[1];
    model(array[1]);
  } else if (enumeration) {
    const [, owner, name] = enumeration;
    const namespace = one(code, new RegExp(`\\(function \\(${owner}\\) {(.*?)^}\\)\\(`, "gms"));
    const assignment = new RegExp(`\\[${name}\\["\\w+"\\] = '([^']+)'\\]`, "g");
    const values = [...namespace.matchAll(assignment)];
    facts[`${place}.type`] = "string";
    facts[`${place}.enum`] = values.map((match) => match[1]);
  } else if (["string", "boolean", "number"].includes(type)) {
    facts[`${place}.type`] = type;
  } else {
    facts[`${place}.schema`] = type;
    model(type);
  }
};

const model = (name) => {
  const schema = `schemas.${name}`;
  if (facts[`${schema}.type`]) return;
  facts[`${schema}.type`] = "object";
  const comment = `^ \\*([^\\n]*)\\n \\* @export\\n \\* @interface ${name}$`;
  const text = one(declarations, new RegExp(comment, "gm"));
  if (text.trim()) facts[`${schema}.description`] = text.trim();
  const fields = one(declarations, new RegExp(`^export interface ${name} {(.*?)^}`, "gms"));
  const pattern = /\/\*\*\s+\*([^\n]*)\n[^/]*?\*\/\s+(\w+)(\??): ([^;]+);/g;
  for (const [, text, field, optional, type] of fields.matchAll(pattern)) {
    const place = `${schema}.properties.${field}`;
    value(place, type);
    facts[`${place}.required`] = !optional;
    if (text.trim()) facts[`${place}.description`] = text.trim();
  }
};

// Adds the facts of a method's declaration, and of the request that it sends for these arguments.
const operation = async (id, method, given) => {
  const keys = one(declarations, /^export declare class APIKeysApi extends BaseAPI {(.*?)^}/gms);
  const declared = one(keys, new RegExp(`(/\\*\\*[^/]*\\*/\\s+${method}\\([^;]*);`, "g"));
  const [, list, response] = declared.match(/\(([^()]*)\): Promise<(\w+)>$/);
  const parameters = list.split(", ").map((it) => it.match(/^(\w+)(\??): (\w+)$/).slice(1));
  assert.equal(parameters.pop()[0], "options");

  let seen;
  const fetch = async (url, options) => {
    seen = { url: new URL(url), options };
    return {};
  };
  const values = parameters.map(([name]) => given[name]);
  await require("@rockset/client").default("key", undefined, fetch).apikeys[method](...values);
  const { url, options } = seen;
  const path = url.pathname.replace("/USER/", "/{user}/").replace("/NAME", "/{name}");
  facts[`${id}.method`] = options.method;
  facts[`${id}.path`] = path;
  facts[`${id}.responses.200.content.application/json.schema`] = response;
  model(response);
  facts[`servers.${url.origin}.url`] = url.origin;
  const { Authorization } = options.headers;
  assert.ok(Authorization.endsWith(" key"));
  facts["securitySchemes.apikeys.in"] = "header";
  facts["securitySchemes.apikeys.name"] = "Authorization";
  facts["securitySchemes.apikeys.x-scheme"] = Authorization.split(" ")[0];

  for (const [name, optional, type] of parameters) {
    if (name === "body") {
      assert.deepEqual(JSON.parse(options.body), given.body);
      facts[`${id}.requestBody.required`] = !optional;
      facts[`${id}.requestBody.content.${options.headers["Content-Type"]}.schema`] = type;
      model(type);
      continue;
    }
    const place = `${id}.parameters.${name}`;
    const inQuery = url.searchParams.get(name) === String(given[name]);
    assert.ok(inQuery || path.includes(`{${name}}`), `${name} is in neither path nor query`);
    facts[`${place}.in`] = inQuery ? "query" : "path";
    facts[`${place}.required`] = !optional;
    value(place, type);
    const text = one(declared, new RegExp(`@param {\\w+} \\[?${name}\\]? ?([^\\n]*)`, "g"));
    if (text.trim()) facts[`${place}.description`] = text.trim();
  }
};

const user = "USER";
const name = "NAME";
await operation("create_api_key", "createApiKey", { body: { name } });
await operation("list_api_keys", "listApiKeys", { user });
await operation("get_api_key", "getApiKey", { user, name, reveal: true });
await operation("update_api_key", "updateApiKey", { user, name, body: { state: "ACTIVE" } });
await operation("delete_api_key", "deleteApiKey", { user, name });
model("ErrorModel");

console.log(JSON.stringify(facts));
