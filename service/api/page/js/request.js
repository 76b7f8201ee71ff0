// Reads the form into a request, which is both sent and shown as code.
import { readAdapters } from "./adapters.js";
import { json, send, sendForJson } from "./api.js";
import { numberOrText } from "./numbers.js";

const NUMBERS = ["motion_intensity", "num_inference_steps", "guidance_scale", "seed"];

/** Read the form; returns the `photo`, and `fields` by name in the order in which they are sent. */
export function readRequest(form, photo) {
  // One line, since forms change line breaks.
  const fields = { prompt: textOf(form, "prompt").replace(/\s*\n\s*/g, " ") };
  for (const name of NUMBERS) {
    const text = textOf(form, name).trim();
    if (text !== "") {
      fields[name] = numberOrText(text);
    }
  }
  // Send only values that differ from the default, or from the earlier job's.
  for (const control of optionalControls(form)) {
    const chosen = valueOf(control);
    if (chosen !== (photo?.job?.request[control.id] ?? defaultValueOf(control))) {
      fields[control.id] = chosen;
    }
  }
  fields.detail = textOf(form, "detail");
  if (fields.detail === "photo") {
    fields.frame_rate_factor = Number(textOf(form, "frame_rate_factor"));
  }
  if (textOf(form, "model") !== "") {
    fields.model = textOf(form, "model");
  }
  const adapters = readAdapters(form);
  if (JSON.stringify(adapters) !== JSON.stringify(photo?.job?.request.adapters ?? [])) {
    fields.adapters = adapters;
  }
  // With `detail` off, frames are not interpolated.
  if (fields.detail !== "photo" && (photo?.job?.request.frame_rate_factor ?? null) !== null) {
    fields.frame_rate_factor = null;
  }
  // A rerun from the page must not call the earlier job's webhook.
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
    body.append(name, formText(each));
  }
  body.append("preview", "true");
  return sendForJson("animate", { method: "POST", body });
}

/** Return a value as text for a form. */
export function formText(given) {
  return Array.isArray(given) ? JSON.stringify(given) : String(given);
}

/** Return the controls whose values are sent only if they differ from the default. */
export function optionalControls(form) {
  return form.querySelectorAll("[data-optional]");
}

/** Return a control's value as the API expects it; null lets the service decide. */
export function valueOf(control) {
  return parse(control, control.value.trim() === "" ? defaultOf(control) : control.value);
}

/** Return a control's default as the API expects it. */
export function defaultValueOf(control) {
  return parse(control, defaultOf(control));
}

function defaultOf(control) {
  const selected = [...(control.options ?? [])].find((option) => option.defaultSelected);
  return (selected ?? control.options?.[0])?.value ?? control.defaultValue;
}

function parse(control, text) {
  if (control.dataset.optional === "number") {
    return text.trim() === "" ? null : numberOrText(text);
  }
  return control.dataset.optional === "boolean" ? text === "true" : text;
}

function textOf(form, name) {
  return form.querySelector(`#${name}`).value;
}
