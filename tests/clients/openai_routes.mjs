// The official Node SDK of OpenAI through every route: chat and responses, whatever the provider speaks.
//
// Reads what promises.mjs reads.

import assert from "node:assert/strict";

import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import {
  BOTH_CALLS, CANARY, GATEWAY, MODELS, QUESTION, SAID, TIME, USE_TWO_TOOLS, WEATHER, WEATHER_INPUT, WORDS,
  collect, failing, main, promise, received,
} from "./promises.mjs";

// Without retries of its own, so that every failure of the gateway shows.
const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: CANARY, maxRetries: 0, timeout: 60_000 });
const FUNCTIONS = [
  { name: "get_weather", description: "Tells the weather in a city.", parameters: WEATHER },
  { name: "get_time", description: "Tells the time.", parameters: TIME },
];
const CHAT_TOOLS = FUNCTIONS.map((it) => ({ type: "function", function: it }));
const TOOLS = FUNCTIONS.map((it) => ({ type: "function", strict: true, ...it }));
const Weather = z.object({ city: z.string(), days: z.number() });

const user = (content) => ({ role: "user", content });
const chat = (via, more = {}) =>
  client.chat.completions.create({ model: via, messages: [user(QUESTION)], max_tokens: 64, ...more });
const respond = (via, more = {}) =>
  client.responses.create({ model: via, input: QUESTION, max_output_tokens: 64, ...more });
const called = (calls) => calls.map(({ name, arguments: text }) => [name, JSON.parse(text)]);

promise("a chat is answered", async (via) => {
  const { id, model, choices, usage } = await chat(via);
  assert.ok(id);
  assert.equal(model, MODELS[via]);
  assert.equal(choices[0].message.content, SAID);
  assert.equal(choices[0].finish_reason, "stop");
  assert.ok(usage.prompt_tokens > 0);
  assert.equal(usage.completion_tokens, WORDS);
  assert.equal(usage.total_tokens, usage.prompt_tokens + WORDS);
});

promise("a chat streams, and its runner puts it together", async (via) => {
  const chunks = await collect(await chat(via, { stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), SAID);
  assert.ok(chunks.length > 5 && chunks.every((chunk) => !("usage" in chunk)));
  const runner = client.chat.completions.stream({
    model: via, messages: [user(QUESTION)], max_tokens: 64, stream_options: { include_usage: true },
  });
  assert.equal(await runner.finalContent(), SAID);
  assert.equal((await runner.totalUsage()).completion_tokens, WORDS);
});

promise("a chat calls two tools and takes their results", async (via) => {
  const asked = user(USE_TWO_TOOLS);
  const [{ message, finish_reason }] = (await chat(via, { messages: [asked], tools: CHAT_TOOLS })).choices;
  assert.equal(finish_reason, "tool_calls");
  assert.deepEqual(called(message.tool_calls.map((call) => call.function)), BOTH_CALLS);
  const results = message.tool_calls.map(({ id }, n) => ({ role: "tool", tool_call_id: id, content: `result ${n}` }));
  const [choice] = (await chat(via, { messages: [asked, message, ...results], tools: CHAT_TOOLS })).choices;
  assert.ok(choice.message.content.startsWith("This is tidegate's"));
  assert.match(await received(), /result 0.*result 1/);
});

promise("a chat runs its tools", async (via) => {
  const seen = [];
  const weather = (input) => {
    seen.push(input);
    return "18 degrees";
  };
  const runner = client.chat.completions.runTools({
    model: via,
    messages: [user("Use the tool, please")],
    max_tokens: 64,
    stream: true,
    tools: [{ type: "function", function: { ...FUNCTIONS[0], function: weather, parse: JSON.parse } }],
  });
  assert.ok((await runner.finalContent()).startsWith("This is tidegate's"));
  assert.deepEqual(seen, [WEATHER_INPUT]);
});

promise("a chat is parsed by its schema", async (via) => {
  const answer = await client.chat.completions.parse({
    model: via, messages: [user(QUESTION)], max_tokens: 64, response_format: zodResponseFormat(Weather, "weather"),
  });
  assert.deepEqual(answer.choices[0].message.parsed, WEATHER_INPUT);
});

promise("a response is made", async (via) => {
  const answer = await respond(via);
  assert.match(answer.id, /^resp_/);
  assert.equal(answer.status, "completed");
  assert.equal(answer.output_text, SAID);
  assert.equal(answer.usage.output_tokens, WORDS);
  assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + WORDS);
});

promise("a response streams every event in its order", async (via) => {
  const stream = client.responses.stream({ model: via, input: QUESTION, max_output_tokens: 64 });
  const events = await collect(stream);
  const answer = await stream.finalResponse();
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), SAID);
  assert.equal(answer.output_text, SAID);
});

promise("a response calls two tools and takes their results", async (via) => {
  const stream = client.responses.stream({ model: via, input: USE_TWO_TOOLS, tools: TOOLS, max_output_tokens: 64 });
  const { output } = await stream.finalResponse();
  const calls = output.filter((item) => item.type === "function_call");
  assert.deepEqual(called(calls), BOTH_CALLS);
  // What the helper has parsed is its own; the API takes back what it gave.
  const items = output.map(({ parsed_arguments: _, ...item }) => item);
  const results = calls.map(({ call_id }, n) => ({ type: "function_call_output", call_id, output: `result ${n}` }));
  const answer = await respond(via, { input: [user(USE_TWO_TOOLS), ...items, ...results], tools: TOOLS });
  assert.ok(answer.output_text.startsWith("This is tidegate's"));
  assert.match(await received(), /result 0.*result 1/);
});

promise("a response is parsed by its schema", async (via) => {
  const answer = await client.responses.parse({
    model: via, input: QUESTION, max_output_tokens: 64, text: { format: zodTextFormat(Weather, "weather") },
  });
  assert.deepEqual(answer.output_parsed, WEATHER_INPUT);
});

promise("the input of a response is counted", async (via) => {
  const { input_tokens } = await client.responses.inputTokens.count({ model: via, input: QUESTION });
  assert.ok(input_tokens > 0);
});

promise("errors are of their class", async (via) => {
  for (const ask of [chat, respond]) {
    await assert.rejects(ask("no-such-model"), OpenAI.NotFoundError);
    await failing(503, () => assert.rejects(ask(via), OpenAI.InternalServerError));
    await failing(400, () => assert.rejects(ask(via), OpenAI.BadRequestError));
  }
});

await main("openai node");
