// The right half of the page: the job's progress, then its video or why there is none.
import { Problem, showProblem } from "./problems.js";
import { send } from "./api.js";
import { hasEnded } from "./follow.js";

const END_MESSAGES = {
  canceled: "Canceled.",
  expired: "The job expired before it started.",
  removed: "The files of this job have been deleted.",
};
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const element = (selector) => document.querySelector(selector);

export class Result {
  #announce;
  #job = null;
  #firstProgress = null;
  #announcedQuarter = 0;

  constructor(announce) {
    this.#announce = announce;
    element("#download").addEventListener("click", (event) => this.#download(event));
    for (const shown of [element("#video"), element("#clip")]) {
      shown.addEventListener("error", () => this.#showLoadError(shown));
    }
  }

  /** Prepare for another job, or for the same one again. */
  reset() {
    this.#job = null;
  }

  /** Show that the photo is being sent. */
  showSending(photoUrl) {
    this.#clear();
    this.#showPhoto(photoUrl);
    this.#setProgress(null, "Sending the photo");
  }

  /** Show that there is no video. */
  showNothing() {
    this.#clear();
    element("#empty").textContent = "Your video appears here.";
    element("#empty").hidden = false;
  }

  show(job, connected, photoUrl) {
    const before = this.#job?.id === job.id ? this.#job : null;
    this.#job = job;
    if (before === null) {
      this.#firstProgress = null;
      this.#announcedQuarter = 0;
    }
    if (!hasEnded(job)) {
      this.#showProgress(job, connected, photoUrl, before);
    } else if (before?.status !== job.status || before.data_removed !== job.data_removed) {
      this.#clear();
      this.#showEnd(job, before !== null);
    }
  }

  #showProgress(job, connected, photoUrl, before) {
    if (before === null) {
      this.#clear();
    }
    this.#showPhoto(photoUrl);
    const text = connected ? this.#describe(job) : "Connection lost; reconnecting";
    this.#setProgress(job.status === "running" ? (job.progress?.fraction ?? 0) : null, text);
    if (job.latestPreview && job.latestPreview.step !== before?.latestPreview?.step) {
      this.#loadPreview(job);
    }
    const quarter = Math.floor((job.progress?.fraction ?? 0) * 4);
    if (before?.status !== job.status || quarter > this.#announcedQuarter) {
      this.#announcedQuarter = quarter;
      this.#announce(text);
    }
  }

  /** Replace the preview once the latest one has loaded; if that fails, keep the one shown until the next. */
  async #loadPreview({ id, latestPreview: { step } }) {
    if (reducedMotion.matches) {
      return;
    }
    const response = await send(`jobs/${id}/preview`).catch(() => null);
    const picture = response && (await response.blob().catch(() => null));
    if (!picture || this.#job?.id !== id || this.#job.latestPreview?.step !== step || hasEnded(this.#job)) {
      return;
    }
    this.#removePreview();
    element("#preview").src = URL.createObjectURL(picture);
    element("#preview").hidden = false;
  }

  #removePreview() {
    const shown = element("#preview");
    if (shown.hasAttribute("src")) {
      URL.revokeObjectURL(shown.src);
      shown.removeAttribute("src");
    }
    shown.hidden = true;
  }

  #describe(job) {
    if (job.status === "queued") {
      const wait = job.eta === null ? 0 : (new Date(job.eta) - Date.now()) / 1000;
      const position = job.queue_position === null ? "Queued" : `Position ${job.queue_position} in the queue`;
      return wait > 0 && wait < 3600 ? `${position}, ready in about ${seconds(wait)}` : position;
    }
    if (job.status === "canceling") {
      return "Canceling after the current step";
    }
    const { step = 0, steps = 0, fraction = 0, at = null, message = "" } = job.progress ?? {};
    if (step === 0) {
      return "Starting";
    }
    const time = at && new Date(at);
    this.#firstProgress ??= time && { time, fraction };
    const since = fraction - (this.#firstProgress?.fraction ?? 0);
    const left = time && since > 0 ? ((time - this.#firstProgress.time) / 1000 / since) * (1 - fraction) : 0;
    const frame = /^detail of (frame \d+ of \d+)$/.exec(message)?.[1];
    const done = frame ? `Detail of ${frame}` : `Step ${step} of ${steps}`;
    return `${done}${left >= 1 ? `, about ${seconds(left)} left` : ""}`;
  }

  #showEnd(job, wasSeen) {
    if (job.data_removed) {
      this.#showMessage(END_MESSAGES.removed);
    } else if (job.status === "succeeded") {
      this.#showVideo(job, wasSeen);
    } else if (job.status === "failed") {
      const { message, code, retryable } = job.error;
      const title = retryable ? "The job failed, but may succeed if you send it again" : "The job failed";
      showProblem(element("#job-problem"), new Problem({ title, detail: message, code }));
      element("#empty").textContent = "No video.";
      element("#empty").hidden = false;
    } else {
      this.#showMessage(END_MESSAGES[job.status], wasSeen);
    }
  }

  #showVideo(job, wasSeen) {
    const { video, poster } = job.output;
    const shown = video.content_type.startsWith("video/") ? element("#video") : element("#clip");
    shown.hidden = false;
    const about = `Video: ${job.request.prompt}`;
    shown.src = video.url;
    if (shown === element("#video")) {
      shown.poster = poster.url;
      shown.setAttribute("aria-label", about);
      if (!reducedMotion.matches) {
        // With `autoplay`, a browser may wait until the video is visible. If it forbids this call, there are controls.
        shown.play().catch(() => undefined);
      }
    } else {
      shown.alt = about;
    }
    const size = `${video.width} × ${video.height}, ${video.frames} frames, ${number(video.seconds)} s`;
    const kilobytes = `${number(video.bytes / 1000)} kB`;
    const origin = job.reused_from
      ? "reused from an identical request"
      : `made in ${seconds(job.metrics.execution_ms / 1000)}`;
    element("#facts").textContent = `${size}, ${kilobytes}; ${origin}${describeMarks(job.output)}`;
    element("#download").href = video.url;
    element("#download").download = `${job.id}.${video.content_type.split("/")[1]}`;
    element("#made").hidden = false;
    if (wasSeen) {
      this.#announce("The video is ready");
    }
  }

  /** Browsers ignore a link's `download` for other origins, such as a bucket; fetch the file if CORS allows it. */
  async #download(event) {
    const link = element("#download");
    if (new URL(link.href).origin === location.origin) {
      return;
    }
    event.preventDefault();
    const response = await fetch(link.href).catch(() => null);
    if (!response?.ok) {
      window.open(link.href, "_blank", "noopener");
      return;
    }
    const copy = document.createElement("a");
    copy.href = URL.createObjectURL(await response.blob());
    copy.download = link.download;
    copy.click();
    URL.revokeObjectURL(copy.href);
  }

  #showLoadError(shown) {
    if (shown.hidden) {
      return;
    }
    const detail = "its URL has expired or the storage is unreachable; open the job again below";
    showProblem(element("#job-problem"), new Problem({ title: "The video could not be loaded", detail, code: "PAGE.NO_VIDEO" }));
  }

  #showMessage(text, announce = false) {
    element("#empty").textContent = text;
    element("#empty").hidden = false;
    if (announce) {
      this.#announce(text);
    }
  }

  #showPhoto(url) {
    element("#ghost").hidden = url === null;
    if (url !== null && element("#ghost").getAttribute("src") !== url) {
      element("#ghost").src = url;
    }
  }

  #setProgress(fraction, text) {
    const bar = element("#progress");
    element("#progress-row").hidden = false;
    element("#progress-text").textContent = text;
    if (fraction === null) {
      bar.removeAttribute("value");
    } else {
      bar.value = fraction;
    }
  }

  #clear() {
    for (const id of ["video", "clip", "ghost", "empty", "progress-row", "job-problem", "made"]) {
      element(`#${id}`).hidden = true;
    }
    for (const name of ["src", "poster"]) {
      element("#video").removeAttribute(name);
    }
    element("#video").load();
    element("#clip").removeAttribute("src");
    this.#removePreview();
  }
}

/** Describe the marks in the video: metadata, signed credentials, for WebM in a separate file, and a watermark. */
function describeMarks({ digital_source_type: stated, signing, credentials, watermark_id: watermark }) {
  const kinds = [];
  if (stated) {
    const place = credentials ? " in a separate file" : "";
    const signed = signing?.signed ? `and credentials${place} signed by ${signing.signer}` : "unsigned";
    kinds.push(`metadata, ${signed}`);
  }
  if (watermark) {
    kinds.push(`watermark ${watermark}`);
  }
  return kinds.length ? `; marked as AI-generated (${kinds.join("; ")})` : "";
}

function seconds(value) {
  return value < 90 ? `${Math.max(1, Math.round(value))} s` : `${Math.round(value / 60)} min`;
}

function number(value) {
  return value.toLocaleString("en", { maximumFractionDigits: 1 });
}
