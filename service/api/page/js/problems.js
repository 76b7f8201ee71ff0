// Shows what is wrong, in the service's own words (RFC 9457), beside the field that it is about.

/** What the service, or the way to it, has refused; `errors` point at fields. */
export class Problem extends Error {
  constructor({ title, detail, code, retryable = false, errors = [], request_id: requestId = null }) {
    super(detail);
    Object.assign(this, { title, detail, code, retryable, errors, requestId });
  }
}

/** The pictures of a request have one place on the page, however they were sent. */
const PLACES = { image_url: "image", image_base64: "image", upload_id: "image" };

/** Show a problem at a place of the page, or, for null, that there is none. */
export function showProblem(place, problem) {
  place.hidden = problem === null;
  if (problem === null) {
    place.replaceChildren();
    return;
  }
  const { title, detail, code, requestId } = problem;
  place.replaceChildren(title ? `${title}: ${detail}` : detail);
  if (code) {
    const name = document.createElement("code");
    name.textContent = code;
    place.append(" ", name);
  }
  if (requestId) {
    place.append(` (request ${requestId})`);
  }
}

/** Show a problem of a request: at each field that it points at, and at the foot of the form where it points at none. */
export function showInForm(form, problem) {
  clearForm(form);
  const fields = problem.errors.map((error) => [fieldOf(form, error.pointer), error.detail]).filter(([field]) => field);
  for (const [field, detail] of fields) {
    // The place says already which field it is.
    mark(field, { ...problem, title: fields.length > 1 ? null : problem.title, detail, requestId: null });
  }
  if (fields.length === 0) {
    showProblem(form.querySelector("#problem"), problem);
  } else {
    fields[0][0].querySelector("[aria-describedby]").focus();
  }
}

export function clearForm(form) {
  form.querySelectorAll("[data-field]").forEach(clearField);
  showProblem(form.querySelector("#problem"), null);
}

export function clearField(field) {
  mark(field, null);
}

function mark(field, problem) {
  showProblem(field.querySelector(".problem"), problem);
  const input = field.querySelector("[aria-describedby]");
  if (problem === null) {
    input.removeAttribute("aria-invalid");
  } else {
    input.setAttribute("aria-invalid", "true");
  }
}

function fieldOf(form, pointer) {
  const name = pointer.split("/")[1] ?? "";
  return form.querySelector(`[data-field="${CSS.escape(PLACES[name] ?? name)}"]`);
}
