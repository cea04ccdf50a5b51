// regreen's reporter for Jest (24 to 30): writes what happens to the file that regreen names,
// one JSON record a line, each with one synchronous write, so that a process that dies has said
// everything up to then. It prints nothing, and is given to Jest beside the default reporter.
'use strict';

var fs = require('fs');
var path = require('path');
var openSync = fs.openSync;
var writeSync = fs.writeSync;
var readFileSync = fs.readFileSync;
var stringify = JSON.stringify;

var LONGEST = 256 * 1024;
var MOST_ERRORS = 20;

function attempt(make, otherwise) {
  try {
    var made = make();
    return made === undefined ? otherwise : made;
  } catch (_) {
    return otherwise;
  }
}

function cut(text) {
  text = String(text);
  if (text.length <= LONGEST) return text;
  return text.slice(0, LONGEST / 2) + '\n[...]\n' + text.slice(-LONGEST / 2);
}

// eslint-disable-next-line no-control-regex
var ANSI = /\u001b\[[0-9;]*m/g;

/** Values as Jest prints them, by the copy of its printer that is loaded. */
function printer() {
  var found;
  var cache = require.cache || {};
  Object.keys(cache).some(function (key) {
    if (!/[\\/]pretty-format[\\/]build[\\/]index\.js$/.test(key)) return false;
    found = attempt(function () {
      var all = cache[key].exports;
      var format = all.format || all.default || all;
      return typeof format === 'function' ? { format: format, plugins: Object.keys(all.plugins || {}).map(function (name) { return all.plugins[name]; }) } : undefined;
    });
    return !!found;
  });
  return found;
}

function shown(value) {
  var print = printer();
  if (!print) return undefined;
  return attempt(function () {
    var single = print.format(value, { min: true, maxDepth: 10, plugins: print.plugins });
    if (single.length < 100) return single;
    return cut(print.format(value, { maxDepth: 10, plugins: print.plugins, escapeString: false }));
  });
}

/** Without the frames of packages below the last one of the project's own. */
function trimmed(text) {
  var all = text.split('\n');
  var own = -1;
  var first = -1;
  all.forEach(function (line, at) {
    if (!/^\s+at .*:\d+/.test(line)) return;
    if (first < 0) first = at;
    if (!/node_modules|node:|\(native\)/.test(line)) own = at;
  });
  if (own < 0) own = first + 5;
  return all.filter(function (line, at) { return at <= own || !/^\s+at /.test(line); }).join('\n');
}

/** Message and stack of the text that Jest makes of what was thrown. */
function error(text, detail) {
  text = cut(text).replace(ANSI, '');
  var at = text.search(/\n\s+at [^\n]*:\d+/);
  var head = at < 0 ? text : text.slice(0, at);
  var found = /^((?:[A-Za-z_$][\w$.]*)?(?:Error|Exception))(?: \[([^\]\n]+)\])?(?:: |\n|$)/.exec(head);
  var made = { name: found ? found[1] : '', message: found ? head.slice(found[0].length) : head, stack: text };
  if (found && found[2]) made.code = found[2];
  var one = Array.isArray(detail) ? detail[0] : detail;
  var result = attempt(function () { return one.matcherResult; });
  if (result && typeof result === 'object') {
    made.matched = true;
    if ('expected' in result && 'actual' in result) {
      made.expected = shown(result.expected);
      made.actual = shown(result.actual);
    }
  }
  return made;
}

/** What is written of it. */
function slim(made) {
  made.stack = trimmed(made.stack);
  delete made.matched;
  return made;
}

function kind(made) {
  if (made.matched || /Assertion/.test(made.name) || made.code === 'ERR_ASSERTION' || /^expect[(.]/.test(made.message) || /^assert(\.\w+)?\(received/.test(made.message)) return 'assertion';
  return undefined;
}

var sources = new Map();
function lines(file) {
  if (!sources.has(file)) {
    if (sources.size > 200) sources.clear();
    sources.set(file, attempt(function () {
      var text = readFileSync(file, 'utf8');
      return text.length < 4 * 1024 * 1024 ? text.split('\n') : [];
    }, []));
  }
  return sources.get(file);
}

var OPENS = /^\s*(beforeAll|beforeEach|before|afterAll|afterEach|after|test|it|fit)\b\s*[(.`<]/;

/** What the line stands in: looks upward for a call that is indented less. */
function inside(file, line) {
  var all = lines(file);
  var least = Infinity;
  for (var at = line - 1; at >= 0 && at > line - 400; at -= 1) {
    var text = all[at];
    if (text === undefined || !text.trim()) continue;
    var indent = text.search(/\S/);
    if (at < line - 1 && indent >= least) continue;
    least = indent;
    var found = OPENS.exec(text);
    if (found) return found[1];
  }
  return '';
}

/** In which phase it was thrown: by Jest's own frames, and by the source around the place. */
function phase(text, file) {
  if (/_callCircusTest/.test(text)) return 'call';
  var timed = /Exceeded timeout of \d+ ms for a hook/.test(text) && /\n\s+at (before|after)(Each|All) /.exec(text);
  if (timed) return timed[1] === 'after' ? 'teardown' : 'setup';
  var hooked = /_callCircusHook/.test(text);
  var frame;
  var pattern = /\n\s+at [^\n]*?\(?((?:\/|[A-Za-z]:[\\/])[^\n()]*):(\d+):\d+\)?/g;
  for (var found = pattern.exec(text); found; found = pattern.exec(text)) {
    if (found[1] === file) frame = found;
  }
  var word = frame ? inside(file, Number(frame[2])) : '';
  if (/^after/.test(word)) return 'teardown';
  if (/^before/.test(word) || hooked) return 'setup';
  return 'call';
}

/** What is known of one file while it runs. */
function File(name) {
  this.name = name;
  this.tests = new Map();
  this.seen = new Map();
  this.running = new Set();
  this.repeats = new Map();
  this.open = 0;
  this.shared = false;
}

function RegreenReporter(globalConfig) {
  this.config = globalConfig || {};
  this.files = new Map();
  this.number = 0;
  this.next = 1;
  this.fd = -1;
  this.pid = process.pid;
  this.tally = { passed: 0, failed: 0, skipped: 0 };
  this.finished = false;
  var self = this;
  attempt(function () {
    var given = globalThis[Symbol.for('regreen')] || {};
    var file = given.events || process.env.REGREEN_EVENTS;
    delete process.env.REGREEN_EVENTS;
    if (file) self.fd = openSync(file, 'a');
    self.version = given.version || '';
  });
}

var methods = RegreenReporter.prototype;

methods.write = function (record) {
  if (this.fd < 0 || this.finished || process.pid !== this.pid) return;
  try {
    var line = { n: this.number };
    for (var key in record) if (record[key] !== undefined) line[key] = record[key];
    writeSync(this.fd, stringify(line) + '\n');
    this.number += 1;
  } catch (_) {
    // A run is never disturbed by whoever looks at it.
  }
};

methods.onRunStart = function () {
  this.write({ k: 'session', version: 1, runner: ('jest ' + this.version).trim(), cwd: this.config.rootDir || process.cwd() });
};

// Events of tests name their file, but not for sure their project.
methods.file = function (test) {
  var name = test.path;
  if (!this.files.has(name)) this.files.set(name, new File(name));
  return this.files.get(name);
};

methods.onTestFileStart = function (test) {
  var self = this;
  attempt(function () {
    var file = self.file(test);
    file.open += 1;
    // Two projects run it at once: which of them an event is about is not known.
    if (file.open > 1) file.shared = true;
    self.write({ k: 'open', file: test.path });
  });
};
methods.onTestStart = methods.onTestFileStart;

function titles(info) {
  return (info.ancestorTitles || []).concat([info.title]).map(String);
}

/** A test begins, or is begun again. */
methods.begin = function (file, names, result) {
  var key = names.join('\u0000');
  // A worker died and another one has the file now: it begins at the beginning. Jest runs the
  // tests of a file one after the other.
  if (!result && file.running.size > 0) file.seen = new Map();
  var at = file.seen.get(key) || 0;
  var list = file.tests.get(key) || [];
  file.tests.set(key, list);
  var before = list[at - 1];
  if (before && before.state === 'failed') {
    // It is run again, or another test has its name: its result will tell.
    if (!result) return undefined;
    if (result.invocations > 1) {
      this.write({ k: 'retry', t: before.t });
      before.state = 'running';
      before.retried = true;
      before.told = [];
      return before;
    }
  }
  file.seen.set(key, at + 1);
  var entry = list[at];
  if (entry) {
    if (entry.state === 'running') file.running.add(entry);
    else if (!result) file.repeats.set(key, (file.repeats.get(key) || 0) + 1);
    return entry;
  }
  entry = { t: this.next, names: names, state: 'running', told: [], retried: false };
  this.next += 1;
  list[at] = entry;
  file.running.add(entry);
  this.write({ k: 'start', t: entry.t, id: names.join(' > '), file: file.name, path: names });
  return entry;
};

methods.onTestCaseStart = function (test, info) {
  var self = this;
  attempt(function () {
    var file = self.file(test);
    if (!file.shared) self.begin(file, titles(info));
  });
};

/** Tells what failed of a test; it may be run again. */
methods.fail = function (file, entry, result) {
  var self = this;
  var messages = (result.failureMessages || []).slice(0, MOST_ERRORS);
  if (messages.length === 0) messages = ['no message'];
  var place = result.location;
  var at = place && place.line ? [file.name, place.line, place.column] : undefined;
  messages.forEach(function (text, index) {
    var made = error(text, (result.failureDetails || [])[index]);
    var when = phase(made.stack, file.name);
    // Once, and late only once at all: it was one test that passed.
    if (entry.told.indexOf(when) >= 0 || entry.late && entry.told.length > 0) return;
    entry.told.push(when);
    var word = when === 'call' ? kind(made) : undefined;
    self.write({
      k: 'fail', t: entry.t, open: !entry.late, late: entry.late, phase: when, kind: word,
      id: entry.late ? entry.names.join(' > ') : undefined, file: file.name, path: entry.late ? entry.names : undefined,
      error: slim(made), at: at, ms: typeof result.duration === 'number' ? result.duration : undefined,
    });
  });
  entry.state = 'failed';
};

methods.settle = function (file, entry, result) {
  if (entry.state === 'passed' && result.status === 'failed') {
    // What it left behind was thrown while another test ran, and Jest knows whose it was.
    this.tally.passed -= 1;
    this.tally.failed += 1;
    entry.late = true;
    this.fail(file, entry, result);
    entry.state = 'over';
    return;
  }
  if (entry.state !== 'running') return;
  file.running.delete(entry);
  var ms = typeof result.duration === 'number' ? result.duration : undefined;
  if (result.status === 'failed') {
    this.fail(file, entry, result);
  } else if (result.status === 'passed' && !result.failing) {
    if (result.invocations > 1 && !entry.retried) this.write({ k: 'retry', t: entry.t });
    this.write({ k: 'pass', t: entry.t, ms: ms });
    this.tally.passed += 1;
    entry.state = 'passed';
  } else {
    this.write({ k: 'skip', t: entry.t, why: result.failing ? 'failed as expected' : result.status });
    this.tally.skipped += 1;
    entry.state = 'over';
  }
};

methods.onTestCaseResult = function (test, result) {
  var self = this;
  attempt(function () {
    if (['passed', 'failed'].indexOf(result.status) < 0) return;
    var file = self.file(test);
    if (file.shared) return;
    var key = titles(result).join('\u0000');
    var entry;
    (file.tests.get(key) || []).forEach(function (one) {
      if (file.running.has(one)) entry = entry || one;
    });
    if (!entry && file.repeats.get(key) > 0) {
      // Its result is known already.
      file.repeats.set(key, file.repeats.get(key) - 1);
      return;
    }
    if (!entry) {
      entry = self.begin(file, titles(result), result);
      if (!entry || entry.state !== 'running') return;
    }
    self.settle(file, entry, result);
  });
};

/** The result of a file is complete: what the events of its tests lacked is told now. */
methods.onTestFileResult = function (test, result) {
  var self = this;
  attempt(function () { self.whole(test, result); });
};
methods.onTestResult = methods.onTestFileResult;

methods.whole = function (test, result) {
  var self = this;
  var file = this.file(test);
  var tests = result.testResults || [];
  var died = !!result.testExecError || !!result.failureMessage && tests.length === 0;
  var seen = new Map();
  tests.forEach(function (one) {
    var names = titles(one);
    var key = names.join('\u0000');
    var at = seen.get(key) || 0;
    seen.set(key, at + 1);
    var entry = (file.tests.get(key) || [])[at];
    if (!entry) {
      if (['passed', 'failed'].indexOf(one.status) < 0) {
        self.write({ k: 'skip', id: names.join(' > '), file: file.name, why: one.status });
        self.tally.skipped += 1;
        return;
      }
      entry = { t: self.next, names: names, state: 'running', told: [], retried: false };
      self.next += 1;
      var list = file.tests.get(key) || [];
      list[at] = entry;
      file.tests.set(key, list);
      self.write({ k: 'start', t: entry.t, id: names.join(' > '), file: file.name, path: names });
    }
    self.settle(file, entry, one);
  });
  file.tests.forEach(function (list) {
    list.forEach(function (entry) {
      if (!entry || entry.state !== 'failed') return;
      self.write({ k: 'end', t: entry.t });
      self.tally.failed += 1;
      entry.state = 'over';
    });
  });
  if (died) this.died(file, result, tests.length > 0);
  file.running.forEach(function (entry) {
    if (entry.state !== 'running') return;
    self.write({ k: 'skip', t: entry.t, why: 'did not end' });
    self.tally.skipped += 1;
  });
  file.running.clear();
  this.write({ k: 'close', file: file.name });
  var open = file.open - 1;
  this.files.delete(file.name);
  if (open > 0) {
    var rest = this.file(test);
    rest.open = open;
    rest.shared = true;
  }
};

/** The file failed as such: it could not be loaded, an `afterAll` failed, its worker died. */
methods.died = function (file, result, ran) {
  var self = this;
  var thrown = result.testExecError;
  var text = attempt(function () { return (thrown && (thrown.stack || thrown.message)) || ''; }, '');
  var message = attempt(function () { return (thrown && thrown.message) || ''; }, '');
  if (message && text.indexOf(message) < 0) text = message + '\n' + text;
  if (!text) text = String(result.failureMessage || 'Test suite failed to run');
  var made = error(text, thrown);
  var killed = /jest worker|A worker process|ERR_WORKER|worker (terminated|exited)/i.test(text);
  if (killed && file.running.size > 0) {
    file.running.forEach(function (entry) {
      self.write({ k: 'fail', t: entry.t, phase: 'call', kind: 'crash', error: slim(made) });
      self.tally.failed += 1;
      entry.state = 'over';
    });
    return;
  }
  var when = killed ? 'call' : ran ? 'teardown' : 'collect';
  if (when === 'teardown' && phase(made.stack, file.name) === 'setup') when = 'setup';
  this.write({ k: 'fail', id: file.name, file: file.name, path: [], phase: when, kind: killed ? 'crash' : undefined, error: slim(made) });
  this.tally.failed += 1;
};

methods.onRunComplete = function (contexts, results) {
  var self = this;
  attempt(function () {
    var failed = results && results.runExecError;
    if (failed) {
      self.write({ k: 'fail', id: 'jest', file: '', path: [], phase: 'session', error: error(failed.stack || failed.message || String(failed)) });
      self.tally.failed += 1;
    }
    if (results && results.wasInterrupted) self.write({ k: 'note', code: 'interrupted', message: 'Jest was interrupted' });
    self.write({ k: 'finish', records: self.number, passed: self.tally.passed, failed: self.tally.failed, skipped: self.tally.skipped });
    self.finished = true;
  });
};

module.exports = RegreenReporter;
