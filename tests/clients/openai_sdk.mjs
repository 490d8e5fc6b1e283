// The official Node SDK of OpenAI against a running gateway: the promises of openai_sdk.py, in the other language
// that most agents are written in, whose HTTP client and stream reader have nothing in common with Python's.
//
// Reads the same variables, prints the same lines.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import OpenAI from "openai";

const { GATEWAY, MODEL, LIMITED = "", CONTROL = "" } = process.env;
const SIMULATED = CONTROL !== "";

// Without retries of its own, so that every failure of the gateway shows.
const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: "sk-client", maxRetries: 0, timeout: 60_000 });
const HELLO = [{ role: "user", content: "hello" }];
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
// Any text will do for the gateway; llama.cpp's server refuses whatever is no UUID.
const CHOSEN_ID = SIMULATED ? "chosen-by-the-client" : "6f1ed002-ab5f-4f0b-9c8e-2d1c6f6d3b11";
const FORCED = { type: "function", function: { name: "get_weather" } };

const promises = [];
const promise = (name, check) => promises.push([name, check]);
// A promise that needs the simulated provider's control, limits or well-formed answers.
const simulated = (name, check) => SIMULATED && promise(name, check);

const ask = (more = {}, options = {}) =>
  client.chat.completions.create({ model: MODEL, messages: HELLO, max_tokens: 16, temperature: 0, ...more }, options);

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const stats = async () => (await (await fetch(CONTROL)).json()).stats;

promise("a chat is answered with its usage", async () => {
  const answer = await ask();
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.equal(typeof answer.choices[0].message.content, "string");
  assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.ok(prompt_tokens > 0 && completion_tokens > 0);
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
});

promise("a streamed chat arrives in pieces without usage", async () => {
  const chunks = await collect(await ask({ stream: true }));
  assert.ok(chunks.length > 2);
  for (const chunk of chunks) {
    assert.equal("usage" in chunk, false, JSON.stringify(chunk));
    assert.equal(chunk.choices.length, 1, JSON.stringify(chunk));
  }
  assert.ok(["stop", "length"].includes(chunks.at(-1).choices[0].finish_reason));
});

simulated("a streamed chat that asks for usage gets it last", async () => {
  const chunks = await collect(await ask({ stream: true, stream_options: { include_usage: true } }));
  assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(chunks.at(-1).usage.total_tokens > 0);
});

promise("a tool is called", async () => {
  const answer = await ask({ tools: [WEATHER], tool_choice: FORCED, max_tokens: 64 });
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  if (SIMULATED) assert.equal(typeof JSON.parse(call.function.arguments), "object");
});

promise("a tool call is streamed", async () => {
  let name = "";
  let text = "";
  for await (const chunk of await ask({ tools: [WEATHER], tool_choice: FORCED, max_tokens: 64, stream: true })) {
    for (const delta of chunk.choices[0]?.delta.tool_calls ?? []) {
      name ||= delta.function?.name ?? "";
      text += delta.function?.arguments ?? "";
    }
  }
  assert.equal(name, "get_weather");
  if (SIMULATED) assert.equal(typeof JSON.parse(text), "object");
});

promise("the stream runner puts an answer together", async () => {
  const runner = client.chat.completions.stream({ model: MODEL, messages: HELLO, max_tokens: 16 });
  const message = await runner.finalMessage();
  assert.equal(message.role, "assistant");
});

simulated("embeddings as floats are the same as in the default base64", async () => {
  const packed = await client.embeddings.create({ model: MODEL, input: "hello" });
  const plain = await client.embeddings.create({ model: MODEL, input: "hello", encoding_format: "float" });
  const [one, other] = [packed.data[0].embedding, plain.data[0].embedding];
  assert.ok(one.length > 0);
  assert.equal(one.length, other.length);
  assert.ok(one.every((value, at) => Math.abs(value - other[at]) < 1e-5));
});

promise("the models are listed", async () => {
  const names = (await collect(client.models.list())).map((model) => model.id);
  assert.ok(names.includes(MODEL), names.join(" "));
});

// Behind a single provider every model is that provider's, so nobody is nobody only with two.
simulated("a model that nobody serves is not found", async () => {
  await assert.rejects(ask({ model: "no-such-model" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, String(error));
    assert.ok(error.error.message.includes("no-such-model"), JSON.stringify(error.error));
    assert.ok(error.requestID);
    return true;
  });
});

promise("the headers tell what was done", async () => {
  const { response } = await ask({}, { headers: { "x-request-id": CHOSEN_ID } }).withResponse();
  // The provider's own id stays where SDKs look for it; what the client chose is beside it.
  assert.ok(response.headers.get("x-request-id"));
  assert.equal(response.headers.get("x-tidegate-request-id"), CHOSEN_ID);
  assert.ok(response.headers.get("x-tidegate-provider"));
  assert.equal(response.headers.get("x-tidegate-attempts"), "1");
  assert.ok(Number(response.headers.get("x-tidegate-queued-ms")) >= 0);
});

simulated("an aborted stream is cancelled at the provider", async () => {
  const before = (await stats()).cancelled;
  const long = { messages: [{ role: "user", content: "write 5000 words" }], max_tokens: 5000, stream: true };
  const stream = await ask(long);
  let seen = 0;
  for await (const chunk of stream) {
    assert.ok(chunk);
    if (++seen === 3) stream.controller.abort();
  }
  const deadline = Date.now() + 10_000;
  while ((await stats()).cancelled === before) {
    assert.ok(Date.now() < deadline, JSON.stringify(await stats()));
    await pause(50);
  }
});

simulated("a burst over the limit waits and none of it fails", async () => {
  const one = async () => {
    const call = client.chat.completions.create({ model: LIMITED, messages: HELLO, max_tokens: 100 });
    const { data, response } = await call.withResponse();
    assert.ok(data.choices[0].message.content);
    return Number(response.headers.get("x-tidegate-queued-ms"));
  };
  const waits = await Promise.all(Array.from({ length: 20 }, one));
  assert.ok(Math.max(...waits) >= 100, `nobody waited: ${waits}`);
});

let failed = 0;
for (const [name, check] of promises) {
  try {
    await check();
    console.log(`ok      node: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`BROKEN  node: ${name}: ${error.stack ?? error}`);
  }
}
console.log(`counts ${promises.length - failed} ${failed}`);
process.exitCode = failed > 0 ? 1 : 0;
