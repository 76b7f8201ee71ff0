// OpenAI's SDK for Node as a program uses it. `node node_sdk.mjs TASK`; the rest is in the environment.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import OpenAI from "openai";

const { URL: url, PHOTO, FOLDER } = process.env;
const SMALL = { detail: "off", num_inference_steps: 2 };

const clientOf = (key, maxRetries = 2) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env[key], maxRetries, webhookSecret: "whsec_AAAA" });

const create = (client, extra = {}) =>
  client.videos.create({
    prompt: "the camera pans left",
    model: "sora-2",
    // Not a stream, which is not sent again.
    input_reference: new File([readFileSync(PHOTO)], "photo.jpg"),
    seconds: "4",
    size: "96x64",
    ...SMALL,
    ...extra,
  });

async function poll(client, id) {
  for (;;) {
    const { data, response } = await client.videos.retrieve(id).withResponse();
    if (data.status === "completed" || data.status === "failed") return data;
    await new Promise((done) => setTimeout(done, Number(response.headers.get("openai-poll-after-ms"))));
  }
}

async function fails(kind, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.constructor, kind, String(error));
    return error;
  }
  assert.fail(`no ${kind.name}`);
}

async function collected(pages) {
  const found = [];
  for await (const each of pages) found.push(each.id);
  return found;
}

const tasks = {
  async everything() {
    const client = clientOf("KEY");
    const video = await poll(client, (await create(client, { metadata: { order: "4711" } })).id);
    assert.deepEqual([video.status, video.progress, video.error], ["completed", 100, null]);
    assert.deepEqual([video.size, video.model, video.object], ["96x64", "tiny", "video"]);
    const content = await client.videos.downloadContent(video.id);
    writeFileSync(`${FOLDER}/video.mp4`, Buffer.from(await content.arrayBuffer()));
    const ids = [];
    for (const seed of [1, 2, 3, 4]) ids.push((await create(client, { seed })).id);
    const found = await collected(client.videos.list({ limit: 2 }));
    assert.deepEqual(found.slice(0, 5), [...ids].reverse().concat(video.id));
    assert.deepEqual(await collected(client.videos.list({ limit: 3, order: "asc" })), found.reverse());
    for (const id of [...ids, video.id])
      assert.deepEqual(await client.videos.delete(id), { id, object: "video.deleted", deleted: true });
    await fails(OpenAI.NotFoundError, () => client.videos.downloadContent(video.id));
  },

  async errors() {
    const client = clientOf("KEY");
    const other = clientOf("OTHER_KEY");
    const nothing = await fails(OpenAI.BadRequestError, () => client.videos.create({ prompt: "waves" }));
    assert.equal(nothing.param, "input_reference");
    const wrong = await fails(OpenAI.BadRequestError, () => create(client, { motion_intensity: 99 }));
    assert.deepEqual([wrong.param, wrong.code], ["motion_intensity", "INPUT.INVALID"]);
    const { id } = await create(client);
    await fails(OpenAI.BadRequestError, () => client.videos.downloadContent(id));
    await fails(OpenAI.AuthenticationError, () => clientOf("NO_KEY").videos.list());
    await fails(OpenAI.PermissionDeniedError, () => create(clientOf("TRAIN_KEY")));
    await fails(OpenAI.RateLimitError, () => create(clientOf("FULL_KEY", 0)));
    await fails(OpenAI.NotFoundError, () => client.videos.remix(id, { prompt: "again" }));
    await fails(OpenAI.NotFoundError, () => other.videos.retrieve(id));
    await fails(OpenAI.NotFoundError, () => other.videos.delete(id));
    await fails(OpenAI.NotFoundError, () => other.videos.downloadContent(id));
    assert.deepEqual(await collected(other.videos.list()), []);
    await client.videos.delete(id);
  },

  async once() {
    console.log((await create(clientOf("KEY"))).id);
  },

  async outlast() {
    const client = clientOf("KEY", 8);
    const { id } = await create(client);
    console.log(id);
    const input = createInterface({ input: process.stdin });
    await input.question("");
    input.close();
    assert.equal((await poll(client, id)).status, "completed");
  },

  async unwrap() {
    const client = clientOf("KEY");
    const { body, headers } = JSON.parse(process.env.RECEIVED);
    await client.webhooks.verifySignature(body, headers, process.env.SECRET);
    const event = await client.webhooks.unwrap(body, headers, process.env.SECRET);
    console.log(event.type, event.data.id);
    await assert.rejects(client.webhooks.unwrap(`${body} `, headers, process.env.SECRET));
  },
};

await tasks[process.argv[2]]();
