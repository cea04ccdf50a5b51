// regreen's reporter for `node --test` and for files that use node:test by themselves. It is a
// second reporter beside the usual one (`--test-reporter=…`), says nothing to the terminal, and writes what happens to the file that REGREEN_EVENTS names: one JSON record a
// line, each with one synchronous write, so that a process that dies has said everything up to
// then. It listens to the runner's own stream, which emits every event at once; what a reporter
// is given through the pipe comes later.
'use strict';

var Transform = require('stream').Transform;
var fs = require('fs');
var path = require('path');
var inspect = require('util').inspect;

// Tests replace such functions; these are the real ones.
var openSync = fs.openSync;
var writeSync = fs.writeSync;
var stringify = JSON.stringify;
var isArray = Array.isArray;

var VARIABLE = 'REGREEN_EVENTS';
var LONGEST = 256 * 1024;
var MOST_OUTPUT = 64 * 1024;
var KINDS = ['test:enqueue', 'test:start', 'test:dequeue', 'test:complete', 'test:pass', 'test:fail', 'test:diagnostic', 'test:stderr'];

var pid = process.pid;
var fd = -1;

/** Opens the file, and takes its name and our options out of the environment of children. */
function take() {
  var file = process.env[VARIABLE];
  if (!file) return;
  delete process.env[VARIABLE];
  var options = process.env.NODE_OPTIONS || '';
  if (options.indexOf('regreen_node_options.cjs') >= 0) {
    var own = /\s*--require[= ]"[^"]*regreen_node_options\.cjs"/;
    options = options.replace(own, '').trim();
    if (options) process.env.NODE_OPTIONS = options;
    else delete process.env.NODE_OPTIONS;
  }
  fd = openSync(file, 'a');
}

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

/** A value as node's own reporters print it. */
function shown(value) {
  return cut(inspect(value, { depth: 8, breakLength: 80, maxStringLength: LONGEST, maxArrayLength: 1000 }));
}

function sides(err, made) {
  if (!('expected' in err) && !('actual' in err)) return;
  if (err.expected === undefined && err.actual === undefined) return;
  if (/throws|rejects|doesNot/i.test(String(err.operator)) || typeof err.expected === 'function') return;
  made.expected = attempt(function () { return shown(err.expected); });
  made.actual = attempt(function () { return shown(err.actual); });
}

function error(err, depth) {
  if (err === null || typeof err !== 'object') return { name: '', message: typeof err === 'string' ? cut(err) : shown(err) };
  var message = attempt(function () { return err.message; });
  if (typeof message !== 'string') return { name: '', message: attempt(function () { return shown(err); }, '') };
  var made = {
    name: attempt(function () { return String(err.name || ''); }, ''),
    message: cut(message),
    stack: cut(attempt(function () { return err.stack; }, '') || ''),
    code: attempt(function () { return typeof err.code === 'string' ? err.code : undefined; })
  };
  attempt(function () { sides(err, made); });
  if (depth < 4) {
    var cause = attempt(function () { return err.cause; });
    if (cause !== undefined && cause !== null) made.cause = error(cause, depth + 1);
  }
  return made;
}

function isAssertion(made) {
  return /Assertion|ExpectationFailed|^UnexpectedError$/.test(made.name) || made.code === 'ERR_ASSERTION';
}

/** Writes the records of one stream of events. */
function Teller() {
  this.number = 0;
  this.next = 1;
  this.began = false;
  this.finished = false;
  this.tally = { passed: 0, failed: 0, skipped: 0 };
  // By file: the tests that run, in the order of their beginning.
  this.running = new Map();
  // By nesting: the names of what is being reported now, as it is printed.
  this.titles = [];
  // Tests that their parent cancelled: whose fault that is, the parent's own end shows.
  this.cancelled = [];
  this.children = [];
  this.opened = [];
  this.errors = new Map();
  this.said = {};
  this.types = new Map();
  this.filtered = 0;
  this.belatedOnes = [];
}

Teller.prototype.write = function (record) {
  if (fd < 0 || this.finished || process.pid !== pid) return;
  try {
    var line = { n: this.number };
    for (var key in record) if (record[key] !== undefined) line[key] = record[key];
    writeSync(fd, stringify(line) + '\n');
    this.number += 1;
  } catch (_) {
    // A run is never disturbed by whoever looks at it.
  }
};

Teller.prototype.begin = function () {
  if (this.began) return;
  this.began = true;
  this.write({ k: 'session', version: 1, runner: 'node ' + process.version, cwd: process.cwd() });
};

/** A file that is run as a process of its own looks like a test of its name. */
function isFile(data) {
  return data.nesting === 0 && typeof data.file === 'string' && data.line === 1 && data.column === 1 &&
    (data.name === data.file || path.resolve(data.name) === data.file);
}

/** Events of one process belong together; newer versions say which file began it. */
function owner(data) {
  return data.entryFile || data.file || '';
}

function sameTest(data) {
  return function (one) {
    if (data.testId !== undefined) return one.data.testId === data.testId;
    return one.data.name === data.name && one.data.nesting === data.nesting && one.data.line === data.line && one.data.column === data.column && one.data.file === data.file;
  };
}

Teller.prototype.list = function (data) {
  var key = owner(data);
  if (!this.running.has(key)) this.running.set(key, []);
  return this.running.get(key);
};

/** What a test is, a suite or itself, only this event says rightly, and only since version 22. */
Teller.prototype['test:enqueue'] = function (data) {
  if (data.type !== undefined) this.types.set(spot(data), data.type);
};

function spot(data) {
  return [data.file, data.line, data.column, data.nesting, data.name].join('\n');
}

Teller.prototype['test:dequeue'] = function (data) {
  if (isFile(data)) {
    this.opened.push(data.file);
    this.write({ k: 'open', file: data.file });
    return;
  }
  var list = this.list(data);
  var parent = this.parent(list, data);
  if (parent && parent.t !== undefined) {
    // It has tests of its own: not itself, but they are what is told of.
    this.write({ k: 'group', t: parent.t });
    parent.t = undefined;
    parent.group = true;
  }
  var titles = (parent ? parent.titles : []).concat([String(data.name)]);
  var types = (parent ? parent.types : []).concat([this.types.get(spot(data))]);
  var entry = { data: data, titles: titles, types: types, t: this.next };
  this.next += 1;
  list.push(entry);
  this.write({ k: 'start', t: entry.t, id: titles.join(' > '), file: data.file || '', path: selection(titles, types, ''), at: place(data) });
};

/**
 * The names of which one has to match so that a test is run. From version 22 on all titles
 * together are compared with a pattern, and suites around a match run by themselves; before,
 * the name alone. Where a test has tests of its own, it has to match, and all of it is run.
 */
function selection(titles, types, stack) {
  var modern = Number(process.versions.node.split('.')[0]) >= 22;
  var last = titles.length - 1;
  var suites = /^\s+at (async )?(new )?Suite[. ]/m.test(stack);
  var outer = -1;
  for (var i = last - 1; i >= 0; i -= 1) {
    if (types[i] === 'test' || types[i] === undefined && !suites) outer = i;
  }
  if (modern) return [titles.slice(0, (outer >= 0 ? outer : last) + 1).join(' ')];
  return [titles[outer >= 0 ? outer : last]];
}

Teller.prototype.parent = function (list, data) {
  for (var i = list.length - 1; i >= 0; i -= 1) {
    var one = list[i];
    if (data.parentId !== undefined && one.data.testId !== undefined ? one.data.testId === data.parentId : one.data.nesting === data.nesting - 1) return one;
  }
  return undefined;
};

function place(data) {
  if (typeof data.file !== 'string' || !data.line) return undefined;
  return [data.file, data.line, data.column];
}

Teller.prototype['test:start'] = function (data) {
  this.titles.length = data.nesting;
  this.titles[data.nesting] = String(data.name);
};

/** The entry of a test that is over; it is taken out of the list. */
Teller.prototype.over = function (data) {
  var list = this.list(data);
  var at = list.findIndex(sameTest(data));
  return at < 0 ? undefined : list.splice(at, 1)[0];
};

Teller.prototype.path = function (data) {
  this.titles.length = data.nesting;
  for (var i = 0; i < data.nesting; i += 1) if (this.titles[i] === undefined) this.titles[i] = '';
  return this.titles.concat([String(data.name)]);
};

Teller.prototype['test:complete'] = function (data) {
  if (!isFile(data)) return;
  this.left(data);
};

/** A file's process is over: whatever still ran in it died with it. */
Teller.prototype.left = function (data) {
  var err = data.details && data.details.error || {};
  var list = (this.running.get(data.file) || []).filter(function (one) { return one.t !== undefined; });
  this.running.delete(data.file);
  var how = 'exited with status 0';
  if (err.signal) how = 'died of ' + err.signal;
  else if (typeof err.exitCode === 'number') how = 'exited with status ' + err.exitCode;
  var self = this;
  list.forEach(function (one) {
    self.fail({
      t: one.t, phase: 'call', kind: 'crash', at: place(one.data),
      error: { name: '', message: 'the process of the file ' + how + ' while this test was running' },
      err: self.errors.get(data.file) || ''
    });
  });
  if (list.length > 0) this.died = data.file;
  this.close(data.file);
};

Teller.prototype.close = function (file) {
  var at = this.opened.indexOf(file);
  if (at < 0) return;
  this.opened.splice(at, 1);
  this.write({ k: 'close', file: file });
};

Teller.prototype.fail = function (record) {
  record.k = 'fail';
  this.write(record);
  this.tally.failed += 1;
};

Teller.prototype.skip = function (entry, data) {
  var titles = this.path(data);
  if (entry && entry.t !== undefined) this.write({ k: 'skip', t: entry.t });
  else this.write({ k: 'skip', id: titles.join(' > '), file: data.file || '' });
  this.tally.skipped += 1;
};

Teller.prototype['test:pass'] = function (data) {
  this.ended(data, true);
};

Teller.prototype['test:fail'] = function (data) {
  this.ended(data, false);
};

Teller.prototype.ended = function (data, passed) {
  if (isFile(data)) {
    this.fileEnded(data, passed);
    return;
  }
  var entry = this.over(data);
  var suite = data.details && data.details.type === 'suite';
  var inner = this.children[data.nesting + 1] || 0;
  this.children.length = data.nesting + 1;
  this.children[data.nesting] = (this.children[data.nesting] || 0) + 1;
  var group = suite || inner > 0 || (entry && entry.group);
  var type = passed ? '' : failureType(data);
  this.settleCancelled(data, type);
  if (typeof data.skip === 'string' && /test name does not match pattern|test name matches skip pattern|'only' option not set/.test(data.skip)) {
    this.children[data.nesting] -= 1;
    this.filtered += 1;
    this.nothing(entry);
    return;
  }
  var kept = data.skip !== undefined && data.skip !== false || data.todo !== undefined && data.todo !== false;
  if (kept && !(suite && inner > 0)) {
    this.skip(entry, data);
  } else if (passed || type === 'subtestsFailed' && inner > 0 || kept) {
    if (group) this.nothing(entry);
    else this.passed(entry, data);
  } else if (type === 'cancelledByParent' && data.nesting > 0) {
    this.cancelled.push({ entry: entry, data: data, titles: this.path(data) });
  } else {
    this.failed(entry, data, this.path(data));
  }
};

function failureType(data) {
  return attempt(function () { return data.details.error.failureType; }, '') || '';
}

/** What a parent cancelled because it itself failed did not run; else it failed. */
Teller.prototype.settleCancelled = function (data, type) {
  var own = ['hookFailed', 'testTimeoutFailure', 'testAborted', 'uncaughtException', 'unhandledRejection', 'testCodeFailure', 'cancelledByParent'];
  var mine = this.cancelled.filter(function (one) { return one.data.nesting > data.nesting; });
  if (mine.length === 0) return;
  this.cancelled = this.cancelled.filter(function (one) { return one.data.nesting <= data.nesting; });
  var self = this;
  mine.forEach(function (one) {
    if (own.indexOf(type) >= 0) {
      if (one.entry && one.entry.t !== undefined) self.write({ k: 'skip', t: one.entry.t });
      else self.write({ k: 'skip', id: one.titles.join(' > '), file: one.data.file || '' });
      self.tally.skipped += 1;
    } else {
      self.failed(one.entry, one.data, one.titles);
    }
  });
};

/** A suite is no test; what is to be said of it is said. */
Teller.prototype.nothing = function (entry) {
  if (entry && entry.t !== undefined) this.write({ k: 'group', t: entry.t });
};

Teller.prototype.passed = function (entry, data) {
  if (!entry || entry.t === undefined) {
    // It was not seen to begin: it is told of at once.
    var titles = this.path(data);
    entry = { t: this.next };
    this.next += 1;
    this.write({ k: 'start', t: entry.t, id: titles.join(' > '), file: data.file || '', path: titles });
  }
  this.write({ k: 'pass', t: entry.t, ms: data.details && data.details.duration_ms });
  this.tally.passed += 1;
};

Teller.prototype.failed = function (entry, data, titles) {
  var outer = attempt(function () { return data.details.error; }) || {};
  var type = failureType(data);
  var cause = outer.code === 'ERR_TEST_FAILURE' && outer.cause !== undefined ? outer.cause : outer;
  var made = error(cause, 0);
  // What is no error has no stack; node's own error may know where it came from.
  if (!made.stack && typeof outer.stack === 'string') made.stack = cut(outer.stack);
  var record = { phase: 'call', error: made, at: place(data), ms: data.details && data.details.duration_ms };
  if (entry && entry.t !== undefined) record.t = entry.t;
  record.id = titles.join(' > ');
  record.file = data.file || '';
  record.path = selection(titles, entry ? entry.types : [], String(made.stack || ''));
  var hook = /failed running (\w+) hook/.exec(String(outer.message));
  if (type === 'hookFailed') {
    record.phase = hook && /^after/.test(hook[1]) ? 'teardown' : 'setup';
  } else if (type === 'testTimeoutFailure') {
    record.kind = 'timeout';
  } else if (/expected to fail/.test(made.message) && /expect/i.test(type)) {
    record.kind = 'unexpected_pass';
  } else if (isAssertion(made)) {
    record.kind = 'assertion';
  }
  record.type = type;
  this.fail(record);
};

Teller.prototype.fileEnded = function (data, passed) {
  if (this.running.has(data.file) && this.running.get(data.file).length > 0) this.left(data);
  var file = data.file;
  this.belatedOf(file);
  if (passed) {
    // A file without tests is a test itself.
    if (data.skip !== undefined) this.write({ k: 'skip', id: data.name, file: file });
    else {
      this.write({ k: 'start', t: this.next, id: file, file: file, path: [] });
      this.write({ k: 'pass', t: this.next });
      this.next += 1;
    }
    this.tally[data.skip !== undefined ? 'skipped' : 'passed'] += 1;
  } else if (this.died !== file && this.belated !== file) {
    var err = data.details && data.details.error || {};
    var record = { id: file, file: file, path: [], phase: 'collect', err: this.errors.get(file) || '' };
    var type = failureType(data);
    if (err.signal || err.cause && err.cause.signal) {
      record.kind = 'crash';
      record.phase = 'session';
      record.error = { name: '', message: 'the process of the file died of ' + (err.signal || err.cause.signal) };
    } else if (type === 'testTimeoutFailure') {
      record.kind = 'timeout';
      record.phase = 'session';
      record.error = error(err.cause || err, 0);
    } else {
      var code = typeof err.exitCode === 'number' ? err.exitCode : undefined;
      record.error = { name: '', message: code === undefined ? String(err.cause || err.message || 'test failed') : 'the file\'s process exited with status ' + code, stack: '' };
      record.exit = code;
    }
    this.fail(record);
  }
  this.close(file);
};

Teller.prototype.belatedOf = function (file) {
  var self = this;
  this.belatedOnes.splice(0).forEach(function (record) {
    record.file = file;
    self.belated = file;
    self.fail(record);
  });
};

Teller.prototype['test:stderr'] = function (data) {
  if (typeof data.file !== 'string') return;
  var file = path.resolve(data.file);
  var text = (this.errors.get(file) || '') + data.message;
  if (text.length > MOST_OUTPUT) text = text.slice(0, MOST_OUTPUT / 2) + text.slice(-MOST_OUTPUT / 2);
  this.errors.set(file, text);
};

Teller.prototype['test:diagnostic'] = function (data) {
  var text = String(data.message);
  var found = /^(tests|suites|pass|fail|cancelled|skipped|todo) (\d+)$/.exec(text);
  if (found && data.nesting === 0) this.said[found[1]] = Number(found[2]);
  var late = /^(?:Warning|Error): (?:Test(?: hook)? "([\s\S]*)"(?: at (\S+):(\d+):(\d+))?|A resource) generated asynchronous activity after the test ended\. This activity created the error "([\s\S]*?)"(?: and would have caused the test to fail, but instead triggered| which triggered) an (unhandledRejection|uncaughtException) event/.exec(text);
  if (!late) return;
  var file = late[2] ? path.resolve(late[2]) : data.file || '';
  var id = late[1] || 'asynchronous activity after the test ended';
  var record = {
    id: id, file: file, path: late[1] ? [late[1]] : [], phase: 'call', kind: /^AssertionError/.test(late[5]) ? 'assertion' : 'panic',
    at: late[2] ? [file, Number(late[3]), Number(late[4])] : undefined,
    error: { name: '', message: late[5], stack: late[5] }
  };
  // Older versions do not say where: the file whose end comes next.
  if (file) this.belated = file;
  else this.belatedOnes.push(record);
  if (file) this.fail(record);
};

/** The stream has ended: all of it was told. */
Teller.prototype.finish = function () {
  var self = this;
  this.settleCancelled({ nesting: -1 }, '');
  this.belatedOf('');
  this.running.forEach(function (list, file) {
    self.left({ file: file, details: {} });
  });
  this.opened.slice().forEach(function (file) { self.close(file); });
  var bad = (this.said.fail || 0) + (this.said.cancelled || 0);
  if (bad > 0 && this.tally.failed === 0) {
    this.fail({ id: 'node --test', phase: 'session', error: { name: '', message: bad + ' tests failed, and none was told of' } });
  }
  if (this.filtered > 0) {
    this.write({ k: 'note', code: 'filtered_out', message: this.filtered + (this.filtered === 1 ? ' test was' : ' tests were') + ' left out by a filter of the command or its configuration, and did not run' });
  }
  this.write({ k: 'finish', records: this.number, passed: this.tally.passed, failed: this.tally.failed, skipped: this.tally.skipped });
  this.finished = true;
};

Teller.prototype.hear = function (type, data) {
  var self = this;
  attempt(function () {
    self.begin();
    if (data && typeof self[type] === 'function') self[type](data);
  });
};

attempt(take);

class Reporter extends Transform {
  constructor() {
    super({ writableObjectMode: true });
    var teller = new Teller();
    var live = false;
    this.teller = teller;
    this.isLive = function () { return live; };
    attempt(function () { teller.begin(); });
    this.on('pipe', function (source) {
      attempt(function () {
        if (live || !source || typeof source.on !== 'function') return;
        live = true;
        KINDS.forEach(function (kind) {
          source.on(kind, function (data) { teller.hear(kind, data); });
        });
      });
    });
  }

  _transform(event, encoding, callback) {
    if (!this.isLive() && event && KINDS.indexOf(event.type) >= 0) this.teller.hear(event.type, event.data);
    callback();
  }

  _flush(callback) {
    var teller = this.teller;
    attempt(function () { teller.finish(); });
    callback();
  }
}

module.exports = Reporter;
