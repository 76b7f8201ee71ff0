// The request that the form stands for: read here once, sent and shown as code from the same fields.
import { json, send, sendForJson } from "./api.js";

const NUMBERS = ["motion_intensity", "num_inference_steps", "guidance_scale", "seed"];
const USUAL_NOISE = { negative_prompt: "", noise_refinement: true, noise_cutoff: 0.23, noise_level: 975 };
/** What an earlier job may have that a run by hand must not: it would overrule the slider, or call somebody. */
const NOT_REPEATED = ["motion_bucket_id", "webhook_url"];

/** The request: `photo` as of the photo field, `fields` by name, in the order in which they are sent. */
export function readRequest(form, photo) {
  // One line, since forms on their way make other line breaks of those that were typed.
  const fields = { prompt: value(form, "prompt").replace(/\s*\n\s*/g, " ") };
  for (const name of NUMBERS) {
    const text = value(form, name).trim();
    if (text !== "") {
      // What is no number goes as it stands, for the service to say so.
      fields[name] = Number.isFinite(Number(text)) ? Number(text) : text;
    }
  }
  // Left open where they are as they are without a word, unless an earlier job has them otherwise.
  const noise = {
    negative_prompt: value(form, "negative_prompt"),
    noise_refinement: value(form, "noise_refinement") === "true",
    noise_cutoff: Number(value(form, "noise_cutoff")),
    noise_level: Number(value(form, "noise_level")),
  };
  for (const [name, each] of Object.entries(noise)) {
    if (each !== (photo?.job?.request[name] ?? USUAL_NOISE[name])) {
      fields[name] = each;
    }
  }
  fields.detail = value(form, "detail");
  if (fields.detail === "photo") {
    fields.frame_rate_factor = Number(value(form, "frame_rate_factor"));
  }
  if (value(form, "model") !== "") {
    fields.model = value(form, "model");
  }
  // What the model makes by itself has sizes of its own, and its own frames alone.
  const ofOtherDetail = photo?.job?.request.detail === fields.detail ? [] : ["width", "height"];
  const ofMoreFrames = fields.detail === "photo" ? [] : ["frame_rate_factor"];
  for (const name of [...NOT_REPEATED, ...ofOtherDetail, ...ofMoreFrames]) {
    if ((photo?.job?.request[name] ?? photo?.job?.[name] ?? null) !== null) {
      fields[name] = null;
    }
  }
  return { photo, fields };
}

/** Send the request; resolves to the job. */
export async function sendRequest({ photo, fields }) {
  if (photo.job) {
    return sendForJson(`jobs/${photo.job.id}/rerun`, json(fields));
  }
  const body = new FormData();
  body.append("image", photo.file ?? (await (await send(photo.example)).blob()), photo.name);
  for (const [name, each] of Object.entries(fields)) {
    body.append(name, String(each));
  }
  return sendForJson("animate", { method: "POST", body });
}

function value(form, name) {
  return form.querySelector(`#${name}`).value;
}
