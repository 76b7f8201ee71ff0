// Shows the service's problems (RFC 9457) beside the fields that they concern.

/** A failed request, as reported by the service or by the page; `errors` point at fields. */
export class Problem extends Error {
  constructor({ title, detail, code, retryable = false, errors = [], request_id: requestId = null }) {
    super(detail);
    Object.assign(this, { title, detail, code, retryable, errors, requestId });
  }
}

/** The form's field for fields of the API that have none of their own. */
const FORM_FIELDS = { image_url: "image", image_base64: "image", upload_id: "image" };

/** Show a problem in an element, or hide the element for null. */
export function showProblem(element, problem) {
  element.hidden = problem === null;
  if (problem === null) {
    element.replaceChildren();
    return;
  }
  const { title, detail, code, requestId } = problem;
  element.replaceChildren(title ? `${title}: ${detail}` : detail);
  if (code) {
    const name = document.createElement("code");
    name.textContent = code;
    element.append(" ", name);
  }
  if (requestId) {
    element.append(` (request ${requestId})`);
  }
}

/** Show a problem at each field that it points at, or at the foot of the form if it points at none. */
export function showInForm(form, problem) {
  clearForm(form);
  const fields = problem.errors.map((error) => [fieldOf(form, error.pointer), error.detail]).filter(([field]) => field);
  for (const [field, detail] of fields) {
    // The position already shows which field it is.
    markField(field, { ...problem, title: fields.length > 1 ? null : problem.title, detail, requestId: null });
  }
  if (fields.length === 0) {
    showProblem(form.querySelector("#problem"), problem);
  } else {
    const first = fields[0][0];
    first.closest("details")?.setAttribute("open", "");
    first.querySelector("[aria-describedby]").focus();
  }
}

export function clearForm(form) {
  form.querySelectorAll("[data-field]").forEach(clearField);
  showProblem(form.querySelector("#problem"), null);
}

export function clearField(field) {
  markField(field, null);
}

function markField(field, problem) {
  showProblem(field.querySelector(":scope > .problem"), problem);
  const input = field.querySelector("[aria-describedby]");
  if (problem === null) {
    input.removeAttribute("aria-invalid");
  } else {
    input.setAttribute("aria-invalid", "true");
  }
}

/** The field that a pointer names, or else the one that contains it. */
function fieldOf(form, pointer) {
  const [, first, ...more] = pointer.split("/");
  const path = [FORM_FIELDS[first] ?? first ?? "", ...more];
  const names = path.map((_, at) => path.slice(0, path.length - at).join("/"));
  return names.map((name) => form.querySelector(`[data-field="${CSS.escape(name)}"]`)).find((field) => field !== null);
}
