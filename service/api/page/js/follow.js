// Follows a job by its event stream, using fetch because EventSource can't send a key.
import { send, sendForJson } from "./api.js";

const ENDED = new Set(["succeeded", "failed", "canceled", "expired"]);
const INITIAL_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 15_000;
const QUEUE_POLL_MS = 3_000;

/** Properties of the job that an event's data replaces, by type of event; after other events, the job is loaded again. */
const REPLACED_PROPERTIES = { progress: "progress", preview: "latestPreview" };

export const hasEnded = (job) => ENDED.has(job.status);

/** Call `show(job, connected)` whenever the job changes, until it has ended or the signal aborts. */
export async function follow(id, show, signal) {
  let job = await sendForJson(`jobs/${id}`, { signal });
  show(job, true);
  if (hasEnded(job)) {
    return;
  }
  // The position in the queue changes without events, so poll it.
  const queuePoll = setInterval(async () => {
    const now = job.status === "queued" ? await reload(id, signal) : null;
    if (now !== null && job.status === "queued" && !signal.aborted) {
      show((job = now), true);
    }
  }, QUEUE_POLL_MS);
  try {
    for await (const event of events(id, signal)) {
      const now = event.type in REPLACED_PROPERTIES
        ? { ...job, [REPLACED_PROPERTIES[event.type]]: event.data }
        : await reload(id, signal);
      if (signal.aborted) {
        return;
      }
      job = now ?? job;
      show(job, now !== null);
      if (hasEnded(job)) {
        return;
      }
    }
  } finally {
    clearInterval(queuePoll);
  }
}

/** The current job, or null if it can't be loaded now. */
async function reload(id, signal) {
  try {
    return await sendForJson(`jobs/${id}`, { signal });
  } catch (problem) {
    if (problem.retryable || signal.aborted) {
      return null;
    }
    throw problem;
  }
}

/** Yield the job's events forever, reconnecting as needed, and a `disconnected` whenever a connection has ended. */
async function* events(id, signal) {
  let last = "0";
  let backoff = INITIAL_BACKOFF_MS;
  while (!signal.aborted) {
    try {
      const headers = { accept: "text/event-stream", "last-event-id": last };
      const response = await send(`jobs/${id}/events`, { headers, signal });
      // A 204 has no body: there are no more events.
      for await (const event of response.body ? parse(response.body) : []) {
        last = event.id;
        backoff = INITIAL_BACKOFF_MS;
        yield event;
      }
    } catch (problem) {
      if (!problem.retryable && !signal.aborted) {
        throw problem;
      }
    }
    yield { type: "disconnected" };
    await new Promise((resolve) => setTimeout(resolve, backoff));
    backoff = Math.min(2 * backoff, MAX_BACKOFF_MS);
  }
}

/** Parse server-sent events (HTML standard, 9.2.6), with the fields that the service sends. */
async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      // A broken connection counts as ended: the next one resumes after the last event.
      const { value, done } = await reader.read().catch(() => ({ done: true }));
      if (done) {
        return;
      }
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
        if (fields.data) {
          yield { id: fields.id, type: fields.event, data: JSON.parse(fields.data) };
        }
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
