// regreen's reporter for Vitest (1 to 4): writes what happens to the file that regreen names,
// one JSON record a line, each with one synchronous write, so that a process that dies has said
// everything up to then. It prints nothing, and is given to Vitest beside the default reporter.
import fs from 'node:fs';
import process from 'node:process';

const { openSync, writeSync, readFileSync } = fs;
const { stringify } = JSON;
const LONGEST = 256 * 1024;

function attempt(make, otherwise) {
  try {
    const made = make();
    return made === undefined ? otherwise : made;
  } catch {
    return otherwise;
  }
}

function cut(text) {
  text = String(text);
  if (text.length <= LONGEST) return text;
  return text.slice(0, LONGEST / 2) + '\n[...]\n' + text.slice(-LONGEST / 2);
}

// eslint-disable-next-line no-control-regex
const ANSI = /\u001b\[[0-9;]*m/g;
const plain = (value) => cut(value).replace(ANSI, '');
const side = (value) => (typeof value === 'string' ? plain(value) : value === undefined || value === null ? undefined : plain(attempt(() => stringify(value), '')));

/** The text of an error: what Vitest prints of it, and the frames. */
function error(thrown, depth = 0) {
  if (thrown === null || typeof thrown !== 'object') return { name: '', message: plain(thrown), stack: plain(thrown) };
  const name = attempt(() => String(thrown.name || thrown.nameStr || ''), '');
  const message = plain(attempt(() => thrown.message, '') ?? '');
  const stack = plain(attempt(() => thrown.stack, '') || attempt(() => thrown.stackStr, '') || '');
  let all = stack.split('\n').filter((line) => /^\s+at .*:\d+/.test(line) && message.indexOf(line.trim()) < 0);
  // Frames of packages below the last one of the project's own tell nobody anything.
  const own = all.map((line) => !/node_modules|node:/.test(line)).lastIndexOf(true);
  all = all.slice(0, own < 0 ? 10 : own + 1);
  const frames = all.join('\n');
  const said = message || name || plain(attempt(() => {
    const { stacks, diff: _, expected, actual, ...rest } = thrown;
    return stringify(rest);
  }, ''));
  const diff = plain(attempt(() => thrown.diff, '') || '').trim();
  let text = name && !/^Error$/.test(name) ? `${name}: ${said}` : name ? `Error: ${said}` : said;
  if (diff) text += `\n\n${diff}\n`;
  text += `\n${frames}`;
  const made = { name, message: said, stack: text, expected: side(attempt(() => thrown.expected)), actual: side(attempt(() => thrown.actual)) };
  // Without a diff they are there for no comparison, or as a word for nothing.
  const nothing = !diff && (made.expected === 'undefined' || made.actual === 'undefined' || made.expected === made.actual);
  if (nothing || made.expected === undefined || made.actual === undefined) {
    delete made.expected;
    delete made.actual;
  }
  const code = attempt(() => thrown.code);
  if (typeof code === 'string') made.code = code;
  const cause = attempt(() => thrown.cause);
  if (cause && depth < 4) {
    made.cause = error(cause, depth + 1);
    made.stack += `\n\nCaused by: ${made.cause.stack}`;
  }
  return made;
}

const sources = new Map();
function lines(file) {
  if (!sources.has(file)) {
    if (sources.size > 200) sources.clear();
    sources.set(file, attempt(() => {
      const text = readFileSync(file, 'utf8');
      return text.length < 4 * 1024 * 1024 ? text.split('\n') : [];
    }, []));
  }
  return sources.get(file);
}

const OPENS = /^\s*(beforeAll|beforeEach|before|afterAll|afterEach|after|test|it)\b\s*[(.`<]/;

/** What the line stands in: looks upward for a call that is indented less. */
function inside(file, line) {
  const all = lines(file);
  let least = Infinity;
  for (let at = line - 1; at >= 0 && at > line - 400; at -= 1) {
    const text = all[at];
    if (text === undefined || !text.trim()) continue;
    const indent = text.search(/\S/);
    if (at < line - 1 && indent >= least) continue;
    least = indent;
    const found = OPENS.exec(text);
    if (found) return found[1];
  }
  return '';
}

/** In which phase it was thrown, by the source around the outermost place in the test file. */
function phase(stack, file) {
  let line = 0;
  const pattern = /\n\s+at [^\n]*?((?:file:\/\/)?\/[^\n()]*):(\d+):\d+\)?/g;
  for (let found = pattern.exec(stack); found; found = pattern.exec(stack)) {
    if (found[1].replace('file://', '').replace(/\?.*$/, '') === file) line = Number(found[2]);
  }
  const word = line > 0 ? inside(file, line) : '';
  return /^before/.test(word) ? 'setup' : /^after/.test(word) ? 'teardown' : 'call';
}

const DIED = /Worker exited unexpectedly|ERR_WORKER_OUT_OF_MEMORY|Channel closed|Timeout terminating|Worker (forks|threads)? ?emitted error/;

function titles(task) {
  const path = [];
  for (let one = task; one && one.filepath === undefined && path.length < 100; one = one.suite) path.unshift(String(one.name));
  return path;
}

function isTest(task) {
  return task.type === 'test' || task.type === 'custom';
}

function tests(suite, found = []) {
  for (const task of suite.tasks || []) {
    if (isTest(task)) found.push(task);
    else tests(task, found);
  }
  return found;
}

export default class RegreenReporter {
  constructor() {
    this.fd = -1;
    this.pid = process.pid;
    this.number = 0;
    this.next = 1;
    this.entries = new Map();
    this.open = new Set();
    this.closed = new Set();
    this.tally = { passed: 0, failed: 0, skipped: 0 };
    this.finished = false;
    attempt(() => {
      const given = globalThis[Symbol.for('regreen')] || {};
      const file = given.events || process.env.REGREEN_EVENTS;
      delete process.env.REGREEN_EVENTS;
      if (file) this.fd = openSync(file, 'a');
      this.version = given.version || '';
    });
  }

  write(record) {
    if (this.fd < 0 || this.finished || process.pid !== this.pid) return;
    try {
      writeSync(this.fd, stringify({ n: this.number, ...record }) + '\n');
      this.number += 1;
    } catch {
      // A run is never disturbed by whoever looks at it.
    }
  }

  onInit(vitest) {
    attempt(() => {
      this.vitest = vitest;
      this.version = vitest.version || this.version;
      this.old = parseInt(this.version, 10) < 3;
      this.write({ k: 'session', version: 1, runner: `vitest ${this.version}`.trim(), cwd: vitest.config?.root || process.cwd() });
    });
  }

  file(path) {
    if (this.open.has(path) || this.closed.has(path)) return;
    this.open.add(path);
    this.write({ k: 'open', file: path });
  }

  close(path) {
    this.file(path);
    this.open.delete(path);
    this.closed.add(path);
    this.write({ k: 'close', file: path });
  }

  // --- Vitest 3 and later -------------------------------------------------------------------
  onTestModuleQueued(module) {
    attempt(() => this.file(module.moduleId));
  }

  onTestModuleCollected(module) {
    attempt(() => this.collected(module.task));
  }

  onTestCaseReady(test) {
    attempt(() => this.start(test.task));
  }

  onTestCaseResult(test) {
    attempt(() => this.done(test.task));
  }

  onTestModuleEnd(module) {
    attempt(() => this.whole(module.task));
  }

  onTestRunEnd(modules, errors) {
    attempt(() => this.end(modules.map((module) => module.task), errors));
  }

  // --- Vitest 1 and 2 -----------------------------------------------------------------------
  onCollected(files) {
    if (!this.old) return;
    attempt(() => (files || []).forEach((file) => this.collected(file)));
  }

  onTaskUpdate(packs) {
    if (!this.old) return;
    attempt(() => {
      const ended = [];
      for (const [id] of packs) {
        const task = this.vitest.state.idMap.get(id);
        const state = task?.result?.state;
        if (!task || !state) continue;
        if (isTest(task)) {
          if (state === 'run') this.start(task);
          else if (state === 'pass' || state === 'fail') this.done(task);
        } else if (task.filepath) {
          this.file(task.filepath);
          if (state !== 'run' && state !== 'queued') ended.push(task);
        }
      }
      ended.forEach((file) => this.whole(file));
    });
  }

  onFinished(files, errors) {
    if (!this.old) return;
    attempt(() => this.end(files || [], errors || []));
  }
  // ------------------------------------------------------------------------------------------

  collected(file) {
    if (!file || file.regreenListed || this.closed.has(file.filepath)) return;
    const key = `${file.projectName || ''}\n${file.filepath}`;
    this.listed = this.listed || new Set();
    if (this.listed.has(key)) return;
    this.listed.add(key);
    this.file(file.filepath);
    this.write({ k: 'listed', total: tests(file).length });
  }

  start(task) {
    let entry = this.entries.get(task.id);
    if (entry) return entry;
    const path = titles(task);
    const file = task.file?.filepath || '';
    const at = task.location ? [file, task.location.line, task.location.column] : undefined;
    entry = { t: this.next, file, at, over: false };
    this.next += 1;
    this.entries.set(task.id, entry);
    this.write({ k: 'start', t: entry.t, id: path.join(' > '), file, path });
    return entry;
  }

  done(task) {
    const result = task.result || {};
    const known = this.entries.get(task.id);
    if (known?.over) return;
    const ms = typeof result.duration === 'number' ? result.duration : undefined;
    if (result.state === 'fail') {
      this.failed(this.start(task), result, ms);
      return;
    }
    if (result.state === 'pass' && !task.fails) {
      const entry = this.start(task);
      if (result.retryCount > 0) this.write({ k: 'retry', t: entry.t });
      this.write({ k: 'pass', t: entry.t, ms });
      this.tally.passed += 1;
      entry.over = true;
      return;
    }
    const why = result.state === 'pass' ? 'failed as expected' : task.mode;
    if (known) {
      this.write({ k: 'skip', t: known.t, why });
      known.over = true;
    } else {
      this.write({ k: 'skip', id: titles(task).join(' > '), file: task.file?.filepath || '', why });
      this.entries.set(task.id, { over: true });
    }
    this.tally.skipped += 1;
  }

  failed(entry, result, ms) {
    const errors = result.errors && result.errors.length > 0 ? result.errors : [{ name: '', message: 'no message' }];
    const told = new Map();
    for (const thrown of errors.slice(0, 50)) {
      const made = error(thrown);
      const when = phase(made.stack, entry.file);
      const before = told.get(when);
      if (!before) {
        told.set(when, made);
      } else if (before.stack.indexOf(made.message) < 0 && before.stack.length < LONGEST) {
        // Several soft assertions, or several attempts that failed in their own ways.
        before.others = `${before.others || ''}\n\n${made.stack}`;
      }
    }
    for (const [when, made] of told) {
      const { others, ...one } = made;
      if (others) one.stack += `\n\nCaused by: further errors\n${others}`;
      this.write({ k: 'fail', t: entry.t, open: true, phase: when, kind: this.kind(one, when), error: one, at: entry.at, ms });
    }
    this.write({ k: 'end', t: entry.t });
    this.tally.failed += 1;
    entry.over = true;
  }

  kind(made, when) {
    if (/^(Test|Hook) timed out in \d+/.test(made.message)) return 'timeout';
    if (when !== 'call') return undefined;
    if (/^Expect test to fail/.test(made.message)) return 'unexpected_pass';
    if (/Assertion/.test(made.name) || made.code === 'ERR_ASSERTION' || /^Snapshot `[^]*` mismatched/.test(made.message)) return 'assertion';
    return undefined;
  }

  /** A file is complete: what the events of its tests lacked is told now. */
  whole(file) {
    if (!file || !file.filepath) return;
    const all = tests(file);
    this.collected(file);
    let ran = false;
    for (const task of all) {
      const state = task.result?.state;
      ran = ran || state === 'pass' || state === 'fail';
      if (state === 'pass' || state === 'fail' || task.mode === 'skip' || task.mode === 'todo' || state === 'skip' || state === 'todo') this.done(task);
    }
    this.suites(file, file.filepath);
    const errors = file.result?.errors || [];
    // Obsolete snapshots fail a file that was loaded, too.
    for (const thrown of errors.slice(0, 20)) this.suite(file.filepath, file.filepath, [], thrown, all.length > 0, ran);
    this.close(file.filepath);
  }

  suites(parent, file) {
    for (const task of parent.tasks || []) {
      if (isTest(task)) continue;
      this.suites(task, file);
      const ran = tests(task).some((test) => test.result?.state === 'pass' || test.result?.state === 'fail');
      for (const thrown of (task.result?.errors || []).slice(0, 20)) {
        const path = titles(task);
        // The empty title stands for everything below.
        this.suite(path.join(' > '), file, [...path, ''], thrown, true, ran);
      }
    }
  }

  suite(id, file, path, thrown, loaded, ran) {
    const key = `${file}\n${id}\n${attempt(() => thrown.message, '')}`;
    this.told = this.told || new Set();
    if (this.told.has(key)) return;
    this.told.add(key);
    const made = error(thrown);
    const found = phase(made.stack, file);
    const when = !loaded ? 'collect' : found !== 'call' ? found : ran ? 'teardown' : 'setup';
    this.write({ k: 'fail', id, file, path, phase: when, kind: /^Hook timed out in \d+/.test(made.message) ? 'timeout' : undefined, error: made });
    this.tally.failed += 1;
  }

  end(files, errors) {
    files.forEach((file) => {
      const state = file?.result?.state;
      if (state && state !== 'run' && state !== 'queued' && !this.closed.has(file.filepath)) this.whole(file);
    });
    let died = [...this.open];
    for (const thrown of (errors || []).slice(0, 200)) {
      const made = error(thrown);
      const text = made.stack;
      const refused = /worker for test files ([^\n]+?)\.?(\n|$)/.exec(text);
      if (refused && refused[1].indexOf(', ') < 0) {
        this.write({ k: 'fail', id: refused[1], file: refused[1], path: [], phase: 'collect', error: made });
        this.tally.failed += 1;
        died = died.filter((file) => file !== refused[1]);
        continue;
      }
      if (DIED.test(text) && died.length > 0) {
        for (const file of died) {
          this.write({ k: 'fail', id: file, file, path: [], phase: 'call', kind: 'crash', error: made });
          this.tally.failed += 1;
        }
        died = [];
        continue;
      }
      const id = String(attempt(() => thrown.type, '') || 'Unhandled Error');
      const file = String(attempt(() => thrown.VITEST_TEST_PATH, '') || '');
      this.seen = this.seen || new Map();
      const before = (this.seen.get(id + file) || 0) + 1;
      this.seen.set(id + file, before);
      this.write({ k: 'fail', id: before > 1 ? `${id} ${before}` : id, file, path: [], phase: 'session', kind: DIED.test(text) ? 'crash' : /Assertion/.test(made.name) ? 'assertion' : 'panic', error: made });
      this.tally.failed += 1;
    }
    for (const [, entry] of this.entries) {
      if (entry.over || !entry.t) continue;
      this.write({ k: 'skip', t: entry.t, why: 'did not end' });
      this.tally.skipped += 1;
    }
    [...this.open].forEach((file) => this.close(file));
    this.write({ k: 'finish', records: this.number, passed: this.tally.passed, failed: this.tally.failed, skipped: this.tally.skipped });
    this.finished = true;
  }
}
