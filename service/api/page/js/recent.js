// The list of recent jobs, each a button that opens it. Tiles are reused, as poster URLs differ in every response.
import { sendForJson } from "./api.js";
import { hasEnded } from "./follow.js";

const SHOWN = 12;
const REFRESH_MS = 5_000;
const WORDS = { queued: "Queued", running: "Running", canceling: "Canceling", failed: "Failed", canceled: "Canceled" };

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
    const page = await sendForJson(`jobs?kind=animate&limit=${SHOWN}`).catch(() => null);
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
    const asBefore = items.length === this.#list.children.length && items.every((item, at) => item === this.#list.children[at]);
    if (asBefore) {
      return;
    }
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    this.#list.replaceChildren(...items);
    focused?.focus();
  }

  #tileOf(job) {
    const kept = this.#tiles.get(job.id);
    if (kept?.status === job.status && kept.removed === job.data_removed) {
      return kept.item;
    }
    const hadFocus = kept?.item.contains(document.activeElement) ?? false;
    const item = kept?.item ?? document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.append(picture(job), caption(job));
    button.addEventListener("click", () => this.#open(job.id));
    item.replaceChildren(button);
    if (hadFocus) {
      button.focus();
    }
    this.#tiles.set(job.id, { item, status: job.status, removed: job.data_removed });
    return item;
  }
}

function picture(job) {
  if (job.output && !job.data_removed) {
    const image = document.createElement("img");
    image.className = "poster";
    image.alt = "";
    image.loading = "lazy";
    image.src = job.output.poster.url;
    return image;
  }
  const place = document.createElement("span");
  place.className = "poster hint";
  place.textContent = job.data_removed ? "Deleted" : (WORDS[job.status] ?? "Expired");
  return place;
}

function caption(job) {
  const place = document.createElement("span");
  place.className = "caption";
  const prompt = document.createElement("span");
  prompt.className = "prompt";
  prompt.textContent = job.request.prompt;
  const when = document.createElement("time");
  when.className = "hint";
  when.dateTime = job.created_at;
  when.textContent = shortly(new Date(job.created_at));
  place.append(prompt, when);
  return place;
}

/** Format a time; without the date if it is today. */
function shortly(moment) {
  const today = moment.toDateString() === new Date().toDateString();
  return today ? moment.toLocaleTimeString([], { timeStyle: "short" }) : moment.toLocaleDateString([], { dateStyle: "medium" });
}
