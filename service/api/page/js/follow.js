// Follows a job by its event stream, using fetch because EventSource can't send a key.
import { send, sendForJson } from "./api.js";

const ENDED = new Set(["succeeded", "failed", "canceled", "expired"]);
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 15_000;
const QUEUE_POLL_MS = 3_000;

/** Events that carry all of their news, and where the job has it; after the others, the job is loaded again. */
const CARRIED = { progress: "progress", preview: "latestPreview" };

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
    const now = job.status === "queued" ? await latest(id, signal) : null;
    if (now !== null && job.status === "queued" && !signal.aborted) {
      show((job = now), true);
    }
  }, QUEUE_POLL_MS);
  try {
    for await (const event of listen(id, signal)) {
      const now = event.type in CARRIED ? { ...job, [CARRIED[event.type]]: event.data } : await latest(id, signal);
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
async function latest(id, signal) {
  try {
    return await sendForJson(`jobs/${id}`, { signal });
  } catch (problem) {
    if (problem.retryable || signal.aborted) {
      return null;
    }
    throw problem;
  }
}

/** Yield the job's events forever, reconnecting as needed, and `broken` whenever a connection has ended. */
async function* listen(id, signal) {
  let last = "0";
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const headers = { accept: "text/event-stream", "last-event-id": last };
      const response = await send(`jobs/${id}/events`, { headers, signal });
      // A 204 has no body: there are no more events.
      for await (const event of response.body ? parse(response.body) : []) {
        last = event.id;
        pause = FIRST_PAUSE_MS;
        yield event;
      }
    } catch (problem) {
      if (!problem.retryable && !signal.aborted) {
        throw problem;
      }
    }
    yield { type: "broken" };
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, MAX_PAUSE_MS);
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
