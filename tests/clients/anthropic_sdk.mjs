// The official Node SDK of Anthropic through every route: messages, whatever the provider speaks.

import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";

import {
  BOTH_CALLS, CANARY, GATEWAY, MODELS, PNG, QUESTION, SAID, TIME, USE_TWO_TOOLS, WEATHER, WORDS, collect,
  failing, main, promise, received,
} from "./promises.mjs";

// Without retries of its own, so that every failure of the gateway shows.
const options = { baseURL: GATEWAY, maxRetries: 0, timeout: 60_000 };
const client = new Anthropic({ ...options, apiKey: CANARY });
const bearer = new Anthropic({ ...options, apiKey: null, authToken: CANARY });
const TOOLS = [
  { name: "get_weather", description: "Tells the weather in a city.", input_schema: WEATHER },
  { name: "get_time", description: "Tells the time.", input_schema: TIME },
];
const THINKING = { thinking: { type: "enabled", budget_tokens: 1024 }, max_tokens: 4096 };

const user = (content) => ({ role: "user", content });
const asking = (via, more = {}) => ({ model: via, max_tokens: 64, messages: [user(QUESTION)], ...more });
const ask = (via, more) => client.messages.create(asking(via, more));
const textOf = ({ content }) => content.filter((block) => block.type === "text").map((block) => block.text).join("");

function checkMessage(via, message, stop = "end_turn") {
  assert.match(message.id, /^msg_/);
  assert.equal(message.role, "assistant");
  assert.equal(message.stop_reason, stop);
  assert.equal(message.model, MODELS[via]);
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0, JSON.stringify(message.usage));
}

function checkCalls(via, message) {
  checkMessage(via, message, "tool_use");
  const calls = message.content.filter((block) => block.type === "tool_use");
  assert.deepEqual(calls.map(({ name, input }) => [name, input]), BOTH_CALLS);
  return calls;
}

promise("a message is answered", async (via) => {
  const message = await ask(via);
  checkMessage(via, message);
  assert.equal(textOf(message), SAID);
  assert.equal(message.usage.output_tokens, WORDS);
});

promise("a message streams every event in its order", async (via) => {
  const stream = client.messages.stream(asking(via));
  const kinds = (await collect(stream)).map((event) => event.type);
  const message = await stream.finalMessage();
  checkMessage(via, message);
  assert.equal(textOf(message), SAID);
  assert.deepEqual(kinds.filter((kind) => kind !== "ping").slice(0, 2), ["message_start", "content_block_start"]);
  assert.deepEqual(kinds.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
});

promise("two tools are called and their results taken", async (via) => {
  const message = await ask(via, { messages: [user(USE_TWO_TOOLS)], tools: TOOLS });
  const results = checkCalls(via, message).map(({ id }, n) => ({
    type: "tool_result", tool_use_id: id, content: `result ${n}`,
  }));
  const history = [user(USE_TWO_TOOLS), { role: "assistant", content: message.content }, user(results)];
  const answer = await ask(via, { messages: history, tools: TOOLS });
  checkMessage(via, answer);
  assert.ok(textOf(answer).startsWith("This is tidegate's"));
  assert.match(await received(), /result 0.*result 1/);
});

promise("thoughts and the input of tools are streamed and taken back", async (via) => {
  const stream = client.messages.stream(asking(via, { messages: [user(USE_TWO_TOOLS)], tools: TOOLS, ...THINKING }));
  const pieces = [];
  stream.on("inputJson", (piece) => pieces.push(piece));
  const message = await stream.finalMessage();
  const calls = checkCalls(via, message);
  // Gemini gives each call's arguments in one piece.
  assert.ok(pieces.length >= (via === "via-gemini" ? 2 : 4), String(pieces.length));
  // A provider of chat keeps its thoughts to itself.
  if (via !== "via-chat") assert.match(message.content[0].thinking, /kindly/);
  const results = calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "18 degrees" }));
  const history = [user(USE_TWO_TOOLS), { role: "assistant", content: message.content }, user(results)];
  assert.ok(textOf(await ask(via, { messages: history, tools: TOOLS, ...THINKING })).startsWith("This is tidegate's"));
});

promise("pictures and a cached system prompt are taken with either credential", async (via) => {
  const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
  const system = [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }];
  const more = { system, messages: [user([picture, { type: "text", text: QUESTION }])] };
  assert.equal(textOf(await ask(via, more)), SAID);
  assert.equal(textOf(await bearer.messages.create(asking(via, more))), SAID);
  assert.ok((await received()).includes(PNG));
});

promise("tokens are counted", async (via) => {
  const { input_tokens } = await client.messages.countTokens({ model: via, messages: [user(QUESTION)] });
  assert.ok(input_tokens > 0);
});

promise("errors are of their class", async (via) => {
  await assert.rejects(ask("no-such-model"), (error) => {
    assert.ok(error instanceof Anthropic.NotFoundError, String(error));
    assert.equal(error.error.error.type, "not_found_error");
    assert.ok(error.requestID);
    return true;
  });
  await failing(503, () => assert.rejects(ask(via), Anthropic.InternalServerError));
  await failing(400, () => assert.rejects(ask(via), Anthropic.BadRequestError));
});

await main("anthropic node");
