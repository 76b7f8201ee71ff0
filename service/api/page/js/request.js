// Reads the form into a request, which is both sent and shown as code.
import { json, send, sendForJson } from "./api.js";

const NUMBERS = ["motion_intensity", "num_inference_steps", "guidance_scale", "seed"];
const USUAL_NOISE = { negative_prompt: "", noise_refinement: true, noise_cutoff: 0.23, noise_level: 975 };
/** Fields of an earlier job that must not be repeated: they would override the slider, or call a webhook. */
const NOT_REPEATED = ["motion_bucket_id", "webhook_url"];

/** Read the form; returns the `photo`, and `fields` by name in the order in which they are sent. */
export function readRequest(form, photo) {
  // One line, since forms change line breaks.
  const fields = { prompt: value(form, "prompt").replace(/\s*\n\s*/g, " ") };
  for (const name of NUMBERS) {
    const text = value(form, name).trim();
    if (text !== "") {
      // Send anything that isn't a number unchanged: the service rejects it.
      fields[name] = Number.isFinite(Number(text)) ? Number(text) : text;
    }
  }
  // Send only values that differ from the default, or from the earlier job's.
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
  // With `detail` off, the model determines the size, and frames are not interpolated.
  const obsoleteSizes = photo?.job?.request.detail === fields.detail ? [] : ["width", "height"];
  const obsoleteRate = fields.detail === "photo" ? [] : ["frame_rate_factor"];
  for (const name of [...NOT_REPEATED, ...obsoleteSizes, ...obsoleteRate]) {
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
