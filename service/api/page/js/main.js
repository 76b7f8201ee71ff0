// Connects the parts of the page: the form creates a job, which is followed, shown and listed.
import { Adapters } from "./adapters.js";
import { sendForJson } from "./api.js";
import { follow, hasEnded } from "./follow.js";
import { choose, offerModels } from "./models.js";
import { PhotoField } from "./photo.js";
import { clearField, clearForm, Problem, showInForm } from "./problems.js";
import { Recent } from "./recent.js";
import { valueOf, defaultValueOf, optionalControls, readRequest, sendRequest } from "./request.js";
import { Result } from "./result.js";
import { Share } from "./share.js";

const TITLE = document.title;
const FIELDS = ["prompt", "motion_intensity", "num_inference_steps", "guidance_scale", "seed", "detail"];
/** The API's default. */
const DEFAULT_FRAME_RATE_FACTOR = 3;
const form = document.querySelector("#request");
const field = (name) => form.querySelector(`#${name}`);
const animateButton = document.querySelector("#animate");
const cancelButton = document.querySelector("#cancel");

/** Photos by job, to show them again. */
const photos = new Map();
let following = new AbortController();
let shownJob = null;
let suggested = "";

const result = new Result(announce);
const recent = new Recent(openJob);
const photoField = new PhotoField({
  onChange: photoChanged,
  onReject: (problem) => showInForm(form, problem),
  onSuggest: suggest,
});
const adapters = new Adapters(showValues, announce);
const share = new Share(() => readRequest(form, photoField.photo), announce);

function announce(text) {
  document.querySelector("#announcer").textContent = text;
}

function suggest(prompt) {
  if (field("prompt").value === suggested) {
    field("prompt").value = suggested = prompt;
    clearField(form.querySelector("[data-field=prompt]"));
    share.show();
  }
}

function photoChanged() {
  clearField(form.querySelector("[data-field=image]"));
  showValues();
}

/** Draw a seed that is short enough to read out. */
function drawSeed() {
  field("seed").value = String(Math.floor(Math.random() * 1_000_000));
}

/** Set a field, extending a slider's range if necessary. */
function setField(name, value) {
  if (field(name).type === "range") {
    field(name).max = Math.max(Number(field(name).max), value);
  }
  field(name).value = value;
}

function showValues() {
  for (const output of form.querySelectorAll("output")) {
    output.value = field(output.htmlFor.value).value;
  }
  const rates = field("frame_rate_factor");
  for (const option of rates.options) {
    option.text = String(valueOf(field("fps")) * Number(option.value));
  }
  rates.disabled = field("detail").value === "off";
  for (const name of ["noise_cutoff", "noise_level"]) {
    field(name).disabled = field("noise_refinement").value === "false";
  }
  share.show();
}

/** Return the problem of missing fields, or null if there are none. */
function missingFields() {
  const errors = [];
  if (photoField.photo === null) {
    errors.push({ pointer: "#/image", detail: "Choose a photo or an example." });
  }
  if (field("prompt").value.trim() === "") {
    errors.push({ pointer: "#/prompt", detail: "Describe what happens in the video." });
  }
  return errors.length === 0 ? null : new Problem({ detail: errors[0].detail, errors });
}

async function submit(event) {
  event.preventDefault();
  if (animateButton.getAttribute("aria-disabled") === "true") {
    return;
  }
  const problem = missingFields();
  if (problem !== null) {
    showInForm(form, problem);
    return;
  }
  clearForm(form);
  stopFollowing();
  setBusy(true);
  result.showSending(photoField.url);
  scrollToResult();
  try {
    const request = readRequest(form, photoField.photo);
    const job = await sendRequest(request);
    photos.set(job.id, request.photo);
    followJob(job.id);
    recent.refresh();
  } catch (problem) {
    setBusy(false);
    result.showNothing();
    showInForm(form, asProblem(problem));
  }
}

/** Follow a job until it ends or another is shown. */
async function followJob(id) {
  stopFollowing();
  const own = (following = new AbortController());
  history.replaceState(null, "", `#${id}`);
  recent.mark(id);
  try {
    await follow(id, (job, connected) => showJob(job, connected), own.signal);
  } catch (problem) {
    if (!own.signal.aborted) {
      setBusy(false);
      result.showNothing();
      showInForm(form, asProblem(problem));
    }
  }
}

function showJob(job, connected) {
  const ends = hasEnded(job);
  if (ends && shownJob?.id === job.id) {
    recent.refresh();
  }
  shownJob = job;
  result.show(job, connected, photoField.url);
  setBusy(!ends, job.status === "canceling");
  const percent = Math.round((job.progress?.fraction ?? 0) * 100);
  document.title = job.status === "running" ? `${percent} % – ${TITLE}` : TITLE;
}

function stopFollowing() {
  following.abort();
  shownJob = null;
  result.reset();
}

/** Show a job of the list, and fill the form with its request. */
async function openJob(id) {
  clearForm(form);
  let job;
  try {
    job = await sendForJson(`jobs/${id}`);
  } catch (problem) {
    showInForm(form, asProblem(problem));
    return;
  }
  if (job.kind !== "animate") {
    return;
  }
  stopFollowing();
  for (const name of [...FIELDS, ...[...optionalControls(form)].map((control) => control.id)]) {
    setField(name, job.request[name] ?? "");
  }
  const more = document.querySelector("#more");
  more.open ||= [...optionalControls(more)].some((control) => valueOf(control) !== defaultValueOf(control));
  setField("frame_rate_factor", job.request.frame_rate_factor ?? DEFAULT_FRAME_RATE_FACTOR);
  suggested = "";
  choose(field("model"), job.request.model);
  adapters.show(job.request.adapters, job.request.model);
  const photo = photos.get(id);
  if (photo) {
    photoField.restore(photo);
  } else {
    photoField.useJob(job);
  }
  showValues();
  followJob(id);
  scrollToResult();
}

async function cancel() {
  if (shownJob === null || cancelButton.getAttribute("aria-disabled") === "true") {
    return;
  }
  setBusy(true, true);
  try {
    await sendForJson(`jobs/${shownJob.id}/cancel`, { method: "POST" });
  } catch (problem) {
    setBusy(true);
    showInForm(form, asProblem(problem));
  }
}

/** Buttons use `aria-disabled`, since `disabled` would take their focus. */
function setBusy(busy, canceling = false) {
  if (!busy && document.activeElement === cancelButton) {
    animateButton.focus();
  }
  animateButton.setAttribute("aria-disabled", String(busy));
  animateButton.textContent = busy ? "Animating…" : "Animate";
  cancelButton.hidden = !busy;
  cancelButton.setAttribute("aria-disabled", String(canceling || shownJob === null));
  cancelButton.textContent = canceling ? "Canceling…" : "Cancel";
}

function scrollToResult() {
  const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  document.querySelector("#result").scrollIntoView({ block: "nearest", behavior });
}

/** Return a `Problem`; rethrow anything else, which is a bug, to the console. */
function asProblem(problem) {
  if (problem instanceof Problem) {
    return problem;
  }
  throw problem;
}

async function start() {
  drawSeed();
  showValues();
  form.addEventListener("submit", submit);
  form.addEventListener("input", (event) => {
    const changed = event.target.closest("[data-field]");
    if (changed) {
      clearField(changed);
    }
    showValues();
  });
  // Sizes that are allowed with the photo's detail may not be without it.
  field("detail").addEventListener("input", () => {
    field("width").value = field("height").value = "";
  });
  cancelButton.addEventListener("click", cancel);
  document.querySelector("#shuffle").addEventListener("click", () => {
    drawSeed();
    showValues();
  });
  // In the prompt, Enter starts a new line, and Ctrl+Enter or Cmd+Enter sends.
  field("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      form.requestSubmit();
    }
  });
  try {
    await offerModels(field("model"), setField, adapters);
  } catch (problem) {
    showInForm(form, asProblem(problem));
  }
  showValues();
  recent.refresh();
  if (/^#job_[0-9a-f]{32}$/.test(location.hash)) {
    openJob(location.hash.slice(1));
  }
}

start();
