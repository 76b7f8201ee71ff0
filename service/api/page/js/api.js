// Calls the API of the service that served the page, and asks for a key if it is needed.
import { askForKey, currentKey } from "./key.js";
import { Problem } from "./problems.js";

/** The service's URL, with a trailing slash. */
export const base = new URL("./", document.baseURI);

/** Send a request; throws a `Problem` unless the response is 2xx. */
export async function send(path, { headers = {}, ...options } = {}) {
  for (;;) {
    const key = currentKey();
    const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
    const response = await fetchOrThrow(new URL(path, base), { ...options, headers: { ...headers, ...authorization } });
    if (response.ok) {
      return response;
    }
    const problem = await problemOf(response);
    const retry = response.status === 401 && (currentKey() !== key || (await askForKey(problem)));
    if (!retry) {
      throw problem;
    }
  }
}

/** Like `send`, but return the response's JSON. */
export async function sendForJson(path, options) {
  return (await send(path, options)).json();
}

/** Options of a POST with a JSON body. */
export function json(body) {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

async function fetchOrThrow(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) {
      throw error;
    }
    throw new Problem({
      title: "The service cannot be reached",
      detail: "check the connection, then try again",
      code: "PAGE.UNREACHABLE",
      retryable: true,
    });
  }
}

async function problemOf(response) {
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) {
    return new Problem(await response.json());
  }
  return new Problem({
    title: "A proxy between this page and the service rejected the request",
    detail: `status ${response.status}`,
    code: `HTTP.${response.status}`,
    retryable: response.status >= 500,
  });
}
