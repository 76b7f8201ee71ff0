// Reads the form into a request, which is both sent and shown as code.
import { readAdapters } from "./adapters.js";
import { json, send, sendForJson } from "./api.js";

const NUMBERS = ["motion_intensity", "num_inference_steps", "guidance_scale", "seed"];

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
  for (const control of optionalControls(form)) {
    const chosen = chosenOf(control);
    if (chosen !== (photo?.job?.request[control.id] ?? defaultValueOf(control))) {
      fields[control.id] = chosen;
    }
  }
  fields.detail = value(form, "detail");
  if (fields.detail === "photo") {
    fields.frame_rate_factor = Number(value(form, "frame_rate_factor"));
  }
  if (value(form, "model") !== "") {
    fields.model = value(form, "model");
  }
  const adapters = readAdapters(form);
  if (JSON.stringify(adapters) !== JSON.stringify(photo?.job?.request.adapters ?? [])) {
    fields.adapters = adapters;
  }
  // With `detail` off, frames are not interpolated; and a run by hand must not call the earlier job's webhook.
  if (fields.detail !== "photo" && (photo?.job?.request.frame_rate_factor ?? null) !== null) {
    fields.frame_rate_factor = null;
  }
  if ((photo?.job?.webhook_url ?? null) !== null) {
    fields.webhook_url = null;
  }
  return { photo, fields };
}

/** Send the request, and ask for previews; resolves to the job. */
export async function sendRequest({ photo, fields }) {
  if (photo.job) {
    return sendForJson(`jobs/${photo.job.id}/rerun`, json({ ...fields, preview: true }));
  }
  const body = new FormData();
  body.append("image", photo.file ?? (await (await send(photo.example)).blob()), photo.name);
  for (const [name, each] of Object.entries(fields)) {
    body.append(name, inForm(each));
  }
  body.append("preview", "true");
  return sendForJson("animate", { method: "POST", body });
}

/** Return a value as a form has it. */
export function inForm(given) {
  return Array.isArray(given) ? JSON.stringify(given) : String(given);
}

/** Return the controls whose values are sent only if they differ from the default. */
export function optionalControls(form) {
  return form.querySelectorAll("[data-optional]");
}

/** Return a control's value as the API expects it; null lets the service decide. */
export function chosenOf(control) {
  return typed(control, control.value.trim() === "" ? defaultOf(control) : control.value);
}

/** Return a control's default likewise. */
export function defaultValueOf(control) {
  return typed(control, defaultOf(control));
}

function defaultOf(control) {
  const selected = [...(control.options ?? [])].find((option) => option.defaultSelected);
  return (selected ?? control.options?.[0])?.value ?? control.defaultValue;
}

function typed(control, text) {
  if (control.dataset.optional === "number") {
    return text.trim() === "" ? null : Number.isFinite(Number(text)) ? Number(text) : text;
  }
  return control.dataset.optional === "boolean" ? text === "true" : text;
}

function value(form, name) {
  return form.querySelector(`#${name}`).value;
}
