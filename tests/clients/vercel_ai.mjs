// Vercel's AI SDK through every route, by its five ways to ask: chat and responses of OpenAI, an OpenAI-compatible
// server, Anthropic and Gemini.

import assert from "node:assert/strict";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";

import {
  CANARY, GATEWAY, QUESTION, SAID, USE_TOOL, WEATHER, WEATHER_INPUT, WORDS, collect, failing, main, promise,
  received,
} from "./promises.mjs";

const openai = createOpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: CANARY });
const compatible = createOpenAICompatible({
  name: "compatible", baseURL: `${GATEWAY}/v1`, apiKey: CANARY, includeUsage: true, supportsStructuredOutputs: true,
});
const MODELS = {
  "openai chat": openai.chat,
  "openai responses": openai.responses,
  "openai-compatible": compatible,
  anthropic: createAnthropic({ baseURL: `${GATEWAY}/v1`, apiKey: CANARY }),
  google: createGoogleGenerativeAI({ baseURL: `${GATEWAY}/v1beta`, apiKey: CANARY }),
};

function weather(seen) {
  const execute = async (input) => {
    seen.push(input);
    return { degrees: 18 };
  };
  return { get_weather: tool({ description: "Tells the weather.", inputSchema: jsonSchema(WEATHER), execute }) };
}

for (const [name, model] of Object.entries(MODELS)) {
  const usual = { maxRetries: 0, maxOutputTokens: 64, prompt: QUESTION };
  const ask = (via, more = {}) => ({ model: model(via), ...usual, ...more });

  promise(`${name} generates`, async (via) => {
    const answer = await generateText(ask(via, { system: "Be brief." }));
    assert.equal(answer.text, SAID);
    assert.equal(answer.finishReason, "stop");
    assert.equal(answer.usage.outputTokens, WORDS);
    assert.ok(answer.usage.inputTokens > 0);
    assert.ok((await received()).includes("Be brief."));
  });

  promise(`${name} streams`, async (via) => {
    const answer = streamText(ask(via, { onError: () => {} }));
    const parts = await collect(answer.fullStream);
    const errors = parts.filter((part) => part.type === "error");
    assert.deepEqual(errors, []);
    assert.equal(parts.filter((part) => part.type === "text-delta").map((part) => part.text).join(""), SAID);
    assert.equal(await answer.finishReason, "stop");
    assert.equal((await answer.usage).outputTokens, WORDS);
  });

  for (const [way, run] of [["generates", generateText], ["streams", streamText]]) {
    promise(`${name} ${way} in two steps with a tool between`, async (via) => {
      const seen = [];
      const loop = { prompt: USE_TOOL, tools: weather(seen), stopWhen: stepCountIs(4) };
      const answer = await run(ask(via, loop));
      const [steps, text] = [await answer.steps, await answer.text];
      assert.deepEqual(seen, [WEATHER_INPUT]);
      assert.deepEqual(steps.map((step) => step.finishReason), ["tool-calls", "stop"]);
      assert.ok(text.startsWith("This is tidegate's"), text);
      assert.match(await received(), /degrees/);
    });
  }

  promise(`${name} gives an object`, async (via) => {
    const output = Output.object({ schema: jsonSchema(WEATHER) });
    assert.deepEqual((await generateText(ask(via, { output }))).output, WEATHER_INPUT);
  });

  promise(`${name} throws what it should`, async (via) => {
    const failed = (...statuses) => (error) => {
      assert.ok(APICallError.isInstance(error), String(error));
      assert.ok(statuses.includes(error.statusCode), String(error.statusCode));
      return true;
    };
    await assert.rejects(generateText(ask("no-such-model")), failed(404));
    // Anthropic's own word for what others call unavailable is overloaded.
    const sick = name === "anthropic" ? failed(503, 529) : failed(503);
    await failing(503, () => assert.rejects(generateText(ask(via)), sick));
  });
}

await main("vercel ai");
