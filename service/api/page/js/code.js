// Shows a request as code: curl, and Python with the client. The key is read from a variable, never shown.
import { base } from "./api.js";
import { currentKey } from "./key.js";
import { formText } from "./request.js";

const KEY_VARIABLE = "CINEMO_API_KEY";

/** The request as a command for a POSIX shell. */
export function curl({ photo, fields }) {
  const authorization = currentKey() === null ? [] : [`-H "Authorization: Bearer $${KEY_VARIABLE}"`];
  if (photo?.job) {
    const body = `--json ${shellText(JSON.stringify(fields))}`;
    return ["curl -sS", ...authorization, body, shellText(at(`jobs/${photo.job.id}/rerun`))].join(" \\\n  ");
  }
  const given = Object.entries(fields).map(([name, value]) => `--form-string ${shellText(`${name}=${formText(value)}`)}`);
  const image = `-F ${shellText(`image=@${curlFile(nameOf(photo))}`)}`;
  const command = ["curl -sS", ...authorization, image, ...given, shellText(at("animate"))].join(" \\\n  ");
  return photo?.example ? `curl -sS -o ${shellText(photo.name)} ${shellText(photo.example)}\n${command}` : command;
}

/** The request as a program that waits for the video. */
export function python({ photo, fields }) {
  const keyed = currentKey() !== null;
  const client = `client = Client(${literal(base.href.replace(/\/$/, ""))}${keyed ? `, os.environ["${KEY_VARIABLE}"]` : ""})`;
  const { prompt, ...others } = fields;
  const named = Object.entries(others).map(([name, value]) => `${name}=${literal(value)}`);
  const call = photo?.job
    ? lines(`client.job(${literal(photo.job.id)}).rerun`, [`prompt=${literal(prompt)}`, ...named])
    : lines("client.animate", [literal(nameOf(photo)), literal(prompt), ...named]);
  return [
    ...(keyed ? ["import os"] : []),
    ...(photo?.example ? ["from urllib.request import urlretrieve"] : []),
    ...(keyed || photo?.example ? [""] : []),
    "from cinemo_client import Client",
    "",
    ...(photo?.example ? [`urlretrieve(${literal(photo.example)}, ${literal(photo.name)})`] : []),
    client,
    `job = ${call}`,
    'job.download("video.mp4")',
  ].join("\n");
}

function at(path) {
  return new URL(path, base).href;
}

function nameOf(photo) {
  return photo?.name ?? "photo.jpg";
}

function lines(call, given) {
  return `${call}(\n${given.map((each) => `    ${each},\n`).join("")})`;
}

function shellText(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A file name for curl's -F, quoted if it contains one of its separators. */
function curlFile(name) {
  return /[;,"\\]/.test(name) ? `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"` : name;
}

/** A value as a Python literal: JSON's strings and numbers are valid in Python. */
function literal(value) {
  return value === null ? "None" : JSON.stringify(value);
}
