// The list of recent jobs, each a button that opens it. Tiles are reused, as poster URLs differ in every response.
import { sendForJson } from "./api.js";
import { hasEnded } from "./follow.js";

const MAX_JOBS = 12;
const REFRESH_MS = 5_000;
const STATUS_LABELS = { queued: "Queued", running: "Running", canceling: "Canceling", failed: "Failed", canceled: "Canceled" };

export class Recent {
  #section = document.querySelector("#recent");
  #list = document.querySelector("#recent ul");
  #tiles = new Map();
  #open;
  #current = null;
  #timer = null;

  constructor(open) {
    this.#open = open;
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
  }

  /** Reload the list; if that fails, leave it as it is. */
  async refresh() {
    clearTimeout(this.#timer);
    const page = await sendForJson(`jobs?kind=animate&limit=${MAX_JOBS}`).catch(() => null);
    if (page === null) {
      return;
    }
    this.#arrange(page.jobs.map((job) => this.#tileOf(job)));
    this.#section.hidden = page.jobs.length === 0;
    this.mark(this.#current);
    if (!document.hidden && page.jobs.some((job) => !hasEnded(job))) {
      this.#timer = setTimeout(() => this.refresh(), REFRESH_MS);
    }
  }

  /** Mark the job that is shown. */
  mark(id) {
    this.#current = id;
    for (const [each, { item }] of this.#tiles) {
      item.firstElementChild.setAttribute("aria-current", String(each === id));
    }
  }

  #arrange(items) {
    const unchanged = items.length === this.#list.children.length && items.every((item, at) => item === this.#list.children[at]);
    if (unchanged) {
      return;
    }
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    this.#list.replaceChildren(...items);
    focused?.focus();
  }

  #tileOf(job) {
    const previous = this.#tiles.get(job.id);
    if (previous?.status === job.status && previous.removed === job.data_removed) {
      return previous.item;
    }
    const hadFocus = previous?.item.contains(document.activeElement) ?? false;
    const item = previous?.item ?? document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.append(makePicture(job), makeCaption(job));
    button.addEventListener("click", () => this.#open(job.id));
    item.replaceChildren(button);
    if (hadFocus) {
      button.focus();
    }
    this.#tiles.set(job.id, { item, status: job.status, removed: job.data_removed });
    return item;
  }
}

function makePicture(job) {
  if (job.output && !job.data_removed) {
    const image = document.createElement("img");
    image.className = "poster";
    image.alt = "";
    image.loading = "lazy";
    image.src = job.output.poster.url;
    return image;
  }
  const label = document.createElement("span");
  label.className = "poster hint";
  label.textContent = job.data_removed ? "Deleted" : (STATUS_LABELS[job.status] ?? "Expired");
  return label;
}

function makeCaption(job) {
  const caption = document.createElement("span");
  caption.className = "caption";
  const prompt = document.createElement("span");
  prompt.className = "prompt";
  prompt.textContent = job.request.prompt;
  const when = document.createElement("time");
  when.className = "hint";
  when.dateTime = job.created_at;
  when.textContent = formatTime(new Date(job.created_at));
  caption.append(prompt, when);
  return caption;
}

/** Format a time; without the date if it is today. */
function formatTime(time) {
  const today = time.toDateString() === new Date().toDateString();
  return today ? time.toLocaleTimeString([], { timeStyle: "short" }) : time.toLocaleDateString([], { dateStyle: "medium" });
}
