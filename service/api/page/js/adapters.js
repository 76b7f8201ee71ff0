// The choice of adapters: a row for each, of those that fit the chosen model.
import { choose } from "./models.js";
import { numberOrText } from "./numbers.js";

const DEFAULT_WEIGHT = "1";
const HIDDEN = "visually-hidden";

export class Adapters {
  #field = document.querySelector("#adapters");
  #rows = document.querySelector("#adapters ul");
  #add = document.querySelector("#add-adapter");
  #note = document.querySelector("#adapters-note");
  #known = new Map();
  #model = "";
  #onChange;
  #announce;

  /** `onChange()` is called after a row is added or removed, as there is no event; `announce(text)` tells screen readers. */
  constructor(onChange, announce) {
    this.#onChange = onChange;
    this.#announce = announce;
    this.#add.addEventListener("click", () => this.#addRow());
    this.#rows.addEventListener("change", () => this.#arrange());
  }

  /** Offer the adapters among the service's models, by name, that fit one of them. */
  offer(known, model) {
    this.#known = known;
    this.#model = model;
    this.#arrange();
  }

  /** Show a job's adapters, even ones that no longer exist: the service rejects the request then. */
  show(chosen, model) {
    this.#model = model;
    this.#rows.replaceChildren(...chosen.map(({ model: name, weight }) => this.#row(name, String(weight))));
    this.#arrange();
  }

  /** Remove adapters that don't fit a newly chosen model, and say so. */
  switchModel(model) {
    this.#model = model;
    const removed = [...this.#rows.children].filter((row) => this.#known.has(nameIn(row)) && !this.#fits(nameIn(row)));
    removed.forEach((row) => row.remove());
    this.#arrange();
    if (removed.length > 0) {
      const reason = (name) => (name === model ? `${name} is now the model` : `${name} doesn't fit ${model}`);
      this.#showNote(`Removed: ${removed.map(nameIn).map(reason).join("; ")}.`);
    }
  }

  #fits(name) {
    const { kind, base } = this.#known.get(name);
    return kind === "adapter" && name !== this.#model && base.model === this.#baseOf(this.#model);
  }

  #baseOf(model) {
    return this.#known.get(model)?.base?.model ?? model;
  }

  #fitting() {
    return [...this.#known.keys()].filter((name) => this.#fits(name));
  }

  /** Adapters that no row has yet. */
  #available() {
    const taken = readAdapters(this.#field).map(({ model }) => model);
    return this.#fitting().filter((name) => !taken.includes(name));
  }

  #addRow() {
    const row = this.#row(this.#available()[0], DEFAULT_WEIGHT);
    this.#rows.append(row);
    this.#arrange();
    row.querySelector("select").focus();
    this.#onChange();
  }

  #removeRow(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.#arrange();
    (next?.querySelector("button") ?? this.#add).focus();
    this.#onChange();
  }

  #row(name, weight) {
    const row = document.querySelector("#adapter-row").content.firstElementChild.cloneNode(true);
    setOptions(row, [name]);
    row.querySelector("input").value = weight;
    row.querySelector("button").addEventListener("click", () => this.#removeRow(row));
    return row;
  }

  /** Renumber the rows, as the service's problems refer to them by index, and offer in each what fits. */
  #arrange() {
    const fitting = this.#fitting();
    const rows = [...this.#rows.children];
    rows.forEach((row, at) => {
      setOptions(row, fitting);
      renumber(row, at);
    });
    this.#field.querySelector("legend").classList.toggle(HIDDEN, rows.length > 0);
    this.#add.hidden = this.#available().length === 0 || rows.length >= Number(this.#field.dataset.max);
    this.#showNote("");
    this.#field.hidden = this.#add.hidden && rows.length === 0;
  }

  #showNote(text) {
    this.#note.textContent = text;
    this.#note.hidden = text === "";
    if (text !== "") {
      this.#field.hidden = false;
      this.#announce(text);
    }
  }
}

/** The adapters in the form as the API takes them. */
export function readAdapters(form) {
  return [...form.querySelectorAll("#adapters li")].map((row) => {
    const weight = row.querySelector("input").value.trim() || DEFAULT_WEIGHT;
    return { model: nameIn(row), weight: numberOrText(weight) };
  });
}

function nameIn(row) {
  return row.querySelector("select").value;
}

function setOptions(row, names) {
  const select = row.querySelector("select");
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => new Option(name)));
  choose(select, chosen || names[0]);
}

/** Give a row's parts the names and IDs for its index. */
function renumber(row, at) {
  for (const field of row.querySelectorAll("[data-field]")) {
    const part = field.dataset.field.split("/").at(-1);
    const id = `adapter-${at}-${part}`;
    const [label, control, problem] = field.children;
    field.dataset.field = `adapters/${at}/${part}`;
    label.htmlFor = control.id = id;
    // The first row's labels are the column headers.
    label.classList.toggle(HIDDEN, at > 0);
    problem.id = `${id}-problem`;
    control.setAttribute("aria-describedby", `adapters-hint ${problem.id}`);
  }
  row.querySelector("label").textContent = `Adapter ${at + 1}`;
  row.querySelector("button").setAttribute("aria-label", `Remove adapter ${at + 1}`);
}
