// The photo: chosen, dropped, pasted, an example, or that of an earlier job, which the service already has.
import { Problem } from "./problems.js";

const TYPES = new Set(["image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/heif"]);

export class PhotoField {
  #dropZone = document.querySelector("#drop");
  #picture = document.querySelector("#photo");
  #firstFrame = document.querySelector("#first-frame");
  #input = document.querySelector("#file");
  #name = document.querySelector("#photo-name");
  #examples = [...document.querySelectorAll(".examples button")];
  #onChange;
  #onReject;

  /** The chosen photo: `{file, name, url}`, `{example, name, url}`, loaded when sent, `{job}`, or null. */
  photo = null;

  constructor({ onChange, onReject, onSuggest }) {
    this.#onChange = onChange;
    this.#onReject = onReject;
    this.#input.addEventListener("change", () => this.#chooseFile(this.#input.files));
    this.#picture.addEventListener("error", () => (this.#picture.hidden = true));
    this.#listenForDrops();
    for (const button of this.#examples) {
      button.addEventListener("click", () => this.#chooseExample(button, onSuggest));
    }
  }

  /** The photo's URL for display, or null. */
  get url() {
    return this.photo?.url ?? null;
  }

  /** Show a photo that was chosen before. */
  restore(photo) {
    if (photo.job) {
      this.useJob(photo.job);
    } else {
      this.#show(photo);
    }
  }

  /** Use the photo of an earlier job, shown as the first frame of its video. */
  useJob(job) {
    this.#show({ job });
    const video = job.output?.video;
    if (!video || job.data_removed) {
      return;
    }
    const playable = video.content_type.startsWith("video/");
    const shown = playable ? this.#firstFrame : this.#picture;
    shown.src = playable ? video.url : job.output.poster.url;
    shown.hidden = false;
  }

  #listenForDrops() {
    const highlight = (on) => (event) => {
      event.preventDefault();
      this.#dropZone.classList.toggle("over", on);
    };
    this.#dropZone.addEventListener("dragover", highlight(true));
    this.#dropZone.addEventListener("dragleave", highlight(false));
    this.#dropZone.addEventListener("drop", (event) => {
      highlight(false)(event);
      this.#chooseFile(event.dataTransfer.files);
    });
    // A photo dropped elsewhere must not replace the page.
    window.addEventListener("dragover", (event) => event.preventDefault());
    window.addEventListener("drop", (event) => event.preventDefault());
    window.addEventListener("paste", (event) => this.#chooseFile(event.clipboardData.files));
  }

  #chooseFile(files) {
    const file = files[0];
    // Allow choosing the same file again.
    queueMicrotask(() => (this.#input.value = ""));
    if (!file) {
      return;
    }
    const limit = Number(this.#input.dataset.maxBytes);
    if (file.size > limit) {
      const sizes = `the file has ${file.size.toLocaleString("en")} bytes; the limit is ${limit.toLocaleString("en")}`;
      const problem = { title: "The picture cannot be used", detail: sizes, code: "INPUT.IMAGE.TOO_LARGE" };
      this.#onReject(new Problem({ ...problem, errors: [{ pointer: "#/image", detail: sizes }] }));
      return;
    }
    this.#show({ file, name: file.name, url: URL.createObjectURL(file) });
  }

  #chooseExample(button, onSuggest) {
    const name = button.dataset.photo;
    const example = new URL(`web/photos/${name}`, document.baseURI).href;
    this.#show({ name, url: example, example });
    onSuggest(button.dataset.prompt);
  }

  #show(photo) {
    this.photo = photo;
    this.#picture.hidden = this.#firstFrame.hidden = true;
    this.#firstFrame.removeAttribute("src");
    if (photo.url) {
      this.#picture.src = photo.url;
      this.#picture.alt = `Your photo, ${photo.name}`;
      this.#picture.hidden = !(photo.example || TYPES.has(photo.file.type));
    }
    this.#dropZone.classList.add("filled");
    document.querySelector("#pick-label").textContent = "Choose another photo";
    this.#name.textContent = photo.job ? "The photo of an earlier job" : photo.name;
    this.#name.hidden = false;
    for (const button of this.#examples) {
      button.setAttribute("aria-pressed", String(photo.example !== undefined && photo.name === button.dataset.photo));
    }
    this.#onChange();
  }
}
