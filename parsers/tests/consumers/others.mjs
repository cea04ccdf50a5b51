// The exports, read by programs of npm: JUnit by junit-to-ctrf, CTRF by its own validator, and GitHub's
// workflow commands, which have to be what the Actions toolkit would have written. Ends with
// `N cases held`; a difference is an error.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const packages = (file) => import(pathToFileURL(path.join(process.env.REGREEN_PACKAGES, file)));
const { parseJUnitReport } = await packages("junit-to-ctrf/dist/read.js");
const { validateStrict } = await packages("ctrf/dist/index.js");
const { error, warning, notice } = await packages("@actions/core/lib/core.js");
const levels = { error, warning, notice };

async function junit(file, suites) {
  const found = await parseJUnitReport(file);
  const expected = suites.flatMap((suite) => suite.cases.map((facts) => ({ suite: suite.name, ...facts })));
  assert.equal(found.length, expected.length);
  found.forEach((one, i) => {
    const facts = expected[i];
    assert.deepEqual([one.suite, one.classname, one.name], [facts.suite, facts.class, facts.name]);
    const tags = [one.hasError && "error", one.hasFailure && "failure", one.skipped && "skipped"];
    assert.deepEqual(tags.filter(Boolean), facts.tag ? [facts.tag] : []);
    if (facts.tag === "skipped" || !facts.tag) return;
    const read = facts.tag === "error"
      ? [one.errorType, one.errorMessage, one.errorTrace] : [one.failureType, one.failureMessage, one.failureTrace];
    assert.deepEqual([...read, one.systemOut ?? ""].map(blank),
      [facts.type, facts.message, facts.text, facts.stdout ?? ""].map(blank));
  });
}

// xml2js drops a text of nothing but blanks.
const blank = (text) => (text.trim() === "" ? "" : text);

// A workflow command as the runner reads it.
function command(line) {
  const [, name, properties, data] = /^::([a-z]+) (.*?)::(.*)$/s.exec(line);
  const pairs = properties.split(",").map((pair) => pair.split(/=(.*)/s).slice(0, 2));
  return { name, properties: Object.fromEntries(pairs), data };
}

// What the toolkit writes.
function toolkit(facts, message) {
  const write = process.stdout.write;
  let line = "";
  process.stdout.write = (text) => { line += text; return true; };
  try {
    const { file, line: startLine, column: startColumn } = facts.place ?? {};
    levels[facts.level](message, { title: facts.title, file, startLine, startColumn });
  } finally {
    process.stdout.write = write;
  }
  return line.replace(/\n$/, "");
}

const unescaped = (text) => text.replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%25", "%");

function annotations(text, expected) {
  // The runner's lines end at \n, \r\n and \r.
  const lines = text.split(/\r\n|\n|\r/).slice(0, -1);
  assert.equal(lines.length, expected.length);
  lines.forEach((line, i) => {
    const ours = command(line);
    const message = unescaped(ours.data);
    // The message comes first; what follows are the two sides.
    if (expected[i].message != null) assert.ok(message.startsWith(expected[i].message), message);
    const theirs = command(toolkit(expected[i], message));
    assert.deepEqual(ours, theirs);
  });
}

let count = 0;
for (const name of fs.readdirSync(process.env.REGREEN_EXPORTS).sort()) {
  const place = (file) => path.join(process.env.REGREEN_EXPORTS, name, file);
  const text = (file) => fs.readFileSync(place(file), "utf8");
  const expected = JSON.parse(text("expected.json"));
  try {
    await junit(place("junit.xml"), expected.suites);
    validateStrict(JSON.parse(text("ctrf.json")));
    annotations(text("github.txt"), expected.annotations);
  } catch (error) {
    console.error(`${expected.name}:`);
    throw error;
  }
  count += 1;
}
console.log(`${count} cases held`);
