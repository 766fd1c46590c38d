// Looks at every mail of a folder: NAME.mjml by npm mjml, strictly; NAME.html by html-validate.
// Prints {"NAME.mjml": ["what, where", ...], ...}; one process for all, for starting costs most.

import { readFile, readdir } from "node:fs/promises";
import { extname, join } from "node:path";

import { HtmlValidate, StaticConfigLoader } from "html-validate";
import mjml2html from "mjml";

import { configuration } from "./rules.mjs";

const validator = new HtmlValidate(new StaticConfigLoader(configuration));

const inWords = ({ line, tagName, message }) => `line ${line}, ${tagName}: ${message}`;

async function faultsOfMjml(source) {
  try {
    const { errors } = await mjml2html(source, { validationLevel: "strict" });
    return errors.map(inWords);
  } catch (error) {
    return error.errors?.map(inWords) ?? [error.message];
  }
}

async function faultsOfHtml(source) {
  const { results } = await validator.validateString(source);
  return results
    .flatMap((result) => result.messages)
    .map(({ ruleId, message, line, column }) => `${ruleId}: ${message} (${line}:${column})`);
}

const linters = { ".mjml": faultsOfMjml, ".html": faultsOfHtml };

const folder = process.argv[2];
const found = {};
for (const name of (await readdir(folder)).sort()) {
  const linter = linters[extname(name)];
  if (linter) found[name] = await linter(await readFile(join(folder, name), "utf8"));
}
console.log(JSON.stringify(found));
