"""Parses JavaScript modules and links their imports, with the Node.js in Playwright's wheel. Runs none of them."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import playwright

NODE = Path(playwright.__file__).parent / "driver" / "node"

LINK = """
const { readFileSync } = require("node:fs");
const { dirname, resolve } = require("node:path");
const { SourceTextModule } = require("node:vm");
const files = JSON.parse(process.argv[1]), modules = new Map();
const report = (file, error) => console.log(`${file}\\t${error.message}`);
for (const file of files) {
  try { modules.set(file, new SourceTextModule(readFileSync(file, "utf8"), { identifier: file })); }
  catch (error) { report(file, error); }
}
const imported = (name, from) => {
  const found = modules.get(resolve(dirname(from.identifier), name));
  if (!found) throw new Error(`there is no ${name}`);
  return found;
};
(async () => {
  for (const [file, module] of modules.size === files.length ? modules : []) {
    try { if (module.status === "unlinked") await module.link(imported); } catch (error) { report(file, error); }
  }
})();
"""


def problems_of(files: Iterable[Path]) -> list[str]:
    """Syntax errors as `FILE:LINE: message`; without any, imports of what is not exported as `FILE: message`."""
    found = node("--experimental-vm-modules", "-e", LINK, json.dumps([str(each.resolve()) for each in files])).stdout
    reported = [line.split("\t") for line in found.splitlines()]
    return [f"{located(file)}: {message}" for file, message in reported]


def located(file: str) -> str:
    """The file, with the line at which Node.js stops parsing it, if any."""
    stopped = node("--input-type=module", "--check", source=Path(file).read_text()).stderr
    return file + (f":{stopped.splitlines()[0].rpartition(':')[2]}" if stopped else "")


def node(*arguments: str, source: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, "--no-warnings", *arguments], input=source, capture_output=True, text=True, check=False
    )
