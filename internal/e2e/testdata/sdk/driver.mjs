// Makes calls with the official `openai` package of Node, unmodified, and says what came of them.
//
//   node driver.mjs DIR   DIR holds node_modules with the package
//
// One JSON object a line on stdin is one call; see the type sdkCall in ../../sdk_client_test.go. Each is answered by one
// line on stdout with the same id, in the order in which the calls end. Without a base_url or a key the package takes
// them from its own environment variables.

import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const require = createRequire(path.join(path.resolve(process.argv[2]), "driver.js"));
const OpenAI = require("openai");
const { toFile } = OpenAI;

async function make(call) {
  const options = {};
  if (call.base_url) options.baseURL = call.base_url;
  if (call.key) options.apiKey = call.key;
  if (call.max_retries !== undefined) options.maxRetries = call.max_retries;
  if (call.anonymous) options.defaultHeaders = { Authorization: null };
  const body = { ...call.body, ...call.extra };
  if (call.stream) body.stream = true;
  for (const [field, file] of Object.entries(call.files ?? {})) {
    body[field] = await toFile(Buffer.from(file.data, "base64"), file.name, { type: file.type });
  }
  const names = call.method.split(".");
  const last = names.pop();
  const resource = names.reduce((at, name) => at[name], new OpenAI(options));
  const args = [...(call.args ?? []), ...(Object.keys(body).length > 0 ? [body] : [])];
  return resource[last](...args).withResponse();
}

async function run(call) {
  const result = { id: call.id, chunks: [] };
  try {
    const { data, response, request_id } = await make(call);
    result.headers = Object.fromEntries(response.headers);
    result.request_id = request_id ?? "";
    if (call.stream) {
      for await (const chunk of data) result.chunks.push(chunk);
    } else if (data instanceof Response) {
      result.bytes = Buffer.from(await data.arrayBuffer()).toString("base64");
    } else {
      result.answer = data;
    }
  } catch (error) {
    result.error = told(error);
  }
  return result;
}

// told is what an app can see of an error.
function told(error) {
  const text = (value) => value ?? "";
  return {
    class: error.constructor.name,
    text: String(error.message),
    cause: text(error.cause?.message),
    status: error.status ?? 0,
    type: text(error.type),
    code: text(error.code),
    param: text(error.param),
    request_id: text(error.requestID),
    object: error.error ?? null,
    headers: error.headers ? Object.fromEntries(error.headers) : {},
  };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  run(JSON.parse(line)).then((result) => process.stdout.write(JSON.stringify(result) + "\n"));
}
