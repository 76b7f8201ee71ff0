// The panel that shows the request as code: the choice of language, and a button that copies it.
import { curl, python } from "./code.js";

const LANGUAGES = { curl, python };

export class Share {
  #code = document.querySelector("#code code");
  #copy = document.querySelector("#copy");
  #readRequest;
  #announce;

  constructor(readRequest, announce) {
    this.#readRequest = readRequest;
    this.#announce = announce;
    for (const choice of document.querySelectorAll("[name=language]")) {
      choice.addEventListener("change", () => this.show());
    }
    this.#copy.addEventListener("click", () => this.#copyCode());
  }

  /** Show the current request. */
  show() {
    const language = document.querySelector("[name=language]:checked").value;
    this.#code.textContent = LANGUAGES[language](this.#readRequest());
    this.#copy.textContent = "Copy";
  }

  async #copyCode() {
    try {
      await navigator.clipboard.writeText(this.#code.textContent);
    } catch {
      // Without https or permission, browsers allow only a selection.
      getSelection().selectAllChildren(this.#code);
      this.#announce("Selected; copy it with your keyboard");
      return;
    }
    this.#copy.textContent = "Copied";
    this.#announce("Copied");
  }
}
