// What promises.py is for Python's scripts: the routes, the simulated provider's control, and its answers.
//
// Reads the same variables, prints the same lines.

import assert from "node:assert/strict";

export const { GATEWAY, CONTROL } = process.env;
const ROUTES = process.env.ROUTES.split(" ").filter(Boolean);

const HERE = import.meta.url.slice(0, import.meta.url.lastIndexOf("/"));

// What a client has no business to lose: the gateway's log is searched for it too, and for nothing like it.
export const CANARY = "sk-canary-of-a-client";
// What the gateway has for every provider.
const PROVIDER_KEY = "sk-of-the-gateway";

// The simulated provider repeats the question behind seven words of its own, and has as many words as are asked for.
// Quotes, a backslash and letters of several bytes are what streams are cut in and escapes are lost in.
export const QUESTION = 'Write 14 words: "the \\sea", 漢字 🌊';
export const SAID = `This is tidegate's simulated provider. You said: ${QUESTION}`;
export const WORDS = 14;
// It calls the first tool, or the first two, with the least that their schema takes; texts are "simulated".
export const USE_TOOL = "Use the tool, please";
export const USE_TWO_TOOLS = "Use two tools, please";
export const WEATHER = {
  type: "object",
  properties: { city: { type: "string", description: "Where." }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
export const WEATHER_INPUT = { city: "simulated", days: 1 };
export const TIME = {
  type: "object",
  properties: { zone: { type: "string", enum: ["UTC", "CET"] } },
  required: ["zone"],
  additionalProperties: false,
};
export const TIME_INPUT = { zone: "UTC" };
export const BOTH_CALLS = [["get_weather", WEATHER_INPUT], ["get_time", TIME_INPUT]];
// The smallest picture that there is: one pixel.
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

// The provider's model behind each route, which is the one that answers name.
export const MODELS = {
  "via-chat": "sim",
  "via-responses": "gpt-5-sim",
  "via-messages": "claude-sonnet-4-5-sim",
  "via-gemini": "gemini-2.5-flash-sim",
};
const PATHS = {
  "via-chat": "/v1/chat/completions",
  "via-responses": "/v1/responses",
  "via-messages": "/v1/messages",
  "via-gemini": "/v1beta/models/gemini-2.5-flash-sim:",
};

const promises = [];
/** Held on every route, or on those that are named. */
export const promise = (name, check, routes = ROUTES) => promises.push([name, check, routes]);

/** The simulated provider's state, after a change if there is one. */
async function control(change) {
  const headers = { "content-type": "application/json" };
  const init = change ? { method: "PATCH", headers, body: JSON.stringify(change) } : {};
  return (await fetch(CONTROL, init)).json();
}

/** The body of the request that the provider got last. */
export const received = async () => (await control()).stats.last_request.body;

/** The provider fails the next call with this status. */
export async function failing(status, check) {
  await control({ faults: { fail_next: { times: 1, status, headers: {} } } });
  try {
    await check();
  } finally {
    await control({ faults: { fail_next: null } });
  }
}

export async function collect(stream) {
  const all = [];
  for await (const one of stream) all.push(one);
  return all;
}

/** The hash by which the simulated provider shows a key. */
function redacted(key) {
  let value = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(key)) value = ((value ^ BigInt(byte)) * 0x100000001b3n) & ((1n << 64n) - 1n);
  return `#${(value >> 32n).toString(16).padStart(8, "0")}`;
}

/** What is wrong with the request that has arrived since: its path, or a key that it carries. */
async function misled(via, before) {
  const { received: now, last_request: last } = (await control()).stats;
  if (now === before) return [];
  const wrong = [];
  const shown = JSON.stringify(last);
  if (shown.includes(CANARY) || shown.includes(redacted(CANARY))) {
    wrong.push(`${via}: the client's key went to ${last.path}: ${last.headers} ${last.query}`);
  }
  if (shown.split(redacted(PROVIDER_KEY)).length !== 2) {
    wrong.push(`${via}: not exactly one key of the gateway went to ${last.path}: ${last.headers}`);
  }
  if (!last.path.startsWith(PATHS[via])) wrong.push(`${via}: the provider was asked at ${last.path}`);
  return wrong;
}

/** Tries every promise on its routes and prints a line each, then the counts. */
export async function main(client) {
  let [passed, failed] = [0, 0];
  const wrong = [];
  for (const via of ROUTES) {
    for (const [name, check, routes] of promises) {
      if (!routes.includes(via)) continue;
      const before = (await control()).stats.received;
      try {
        await check(via);
        passed += 1;
        console.log(`ok      ${client}, ${via}: ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`BROKEN  ${client}, ${via}: ${name}: ${error.name}: ${error.message}`);
        // Where in these scripts it was; the frames of the libraries tell nothing.
        const here = (frame) => frame.includes(HERE) && !frame.includes("node_modules");
        String(error.stack).split("\n").filter(here).forEach((frame) => console.log(`    ${frame}`));
      }
      wrong.push(...(await misled(via, before)));
    }
  }
  try {
    assert.deepEqual(wrong, []);
    passed += 1;
    console.log(`ok      ${client}: each route leads to its provider, with the gateway's key and never the client's`);
  } catch {
    failed += 1;
    console.log(`BROKEN  ${client}: each route leads to its provider, with the gateway's key and never the client's:`);
    wrong.slice(0, 5).forEach((line) => console.log(`        ${line}`));
  }
  console.log(`counts ${passed} ${failed}`);
  process.exitCode = failed > 0 ? 1 : 0;
}
