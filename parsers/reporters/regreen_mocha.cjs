// regreen's witness of Mocha: loaded into every node process of a test command by
// NODE_OPTIONS=--require, it does nothing until Mocha's own runner is loaded. Then it listens
// beside whichever reporter the project uses, and writes what happens to the file that
// REGREEN_EVENTS names: one JSON record a line, each with one synchronous write, so that a
// process that dies has said everything up to then.
'use strict';

(function () {
  var VARIABLE = 'REGREEN_EVENTS';
  if (!process.env[VARIABLE]) return;
  var fs = require('fs');
  var path = require('path');
  var Module = require('module');
  var inspect = require('util').inspect;
  // Tests replace such functions; these are the real ones.
  var openSync = fs.openSync;
  var writeSync = fs.writeSync;
  var stringify = JSON.stringify;
  var isArray = Array.isArray;
  var LONGEST = 256 * 1024;

  var fd = -1;
  var pid = process.pid;
  var number = 0;
  var began = false;
  var finished = false;

  /** Opens the file, and takes its name and this file's out of the environment of children. */
  function take() {
    var file = process.env[VARIABLE];
    if (fd >= 0 || !file) return fd >= 0;
    delete process.env[VARIABLE];
    var options = process.env.NODE_OPTIONS || '';
    var own = /\s*--require[= ]("[^"]*regreen_mocha\.cjs"|\S*regreen_mocha\.cjs)/;
    options = options.replace(own, '').trim();
    if (options) process.env.NODE_OPTIONS = options;
    else delete process.env.NODE_OPTIONS;
    fd = openSync(file, 'a');
    return true;
  }

  function write(record) {
    if (fd < 0 || finished || process.pid !== pid) return;
    try {
      var line = { n: number };
      for (var key in record) if (record[key] !== undefined) line[key] = record[key];
      writeSync(fd, stringify(line) + '\n');
      number += 1;
    } catch (_) {
      // A run is never disturbed by whoever looks at it.
    }
  }

  function session(version) {
    if (began) return;
    began = true;
    write({ k: 'session', version: 1, runner: 'mocha ' + version, cwd: process.cwd() });
  }

  function cut(text) {
    text = String(text);
    if (text.length <= LONGEST) return text;
    return text.slice(0, LONGEST / 2) + '\n[...]\n' + text.slice(-LONGEST / 2);
  }

  function attempt(make, otherwise) {
    try {
      var made = make();
      return made === undefined ? otherwise : made;
    } catch (_) {
      return otherwise;
    }
  }

  var tag = function (value) { return Object.prototype.toString.call(value); };

  /** Both sides as Mocha prints them; where their types differ it shows none, but has them. */
  function sides(err, utils, made) {
    if (err.showDiff === false || err.expected === undefined || err.actual === undefined) return;
    if (typeof err.expected === 'function') return;
    var texts = typeof err.expected === 'string' && typeof err.actual === 'string';
    var same = tag(err.expected) === tag(err.actual);
    var shown = function (value) {
      if (texts) return cut(value);
      return cut(same ? utils.stringify(value) : inspect(value, { depth: 6, breakLength: Infinity }));
    };
    made.expected = attempt(function () { return shown(err.expected); });
    made.actual = attempt(function () { return shown(err.actual); });
  }

  function error(err, utils, depth) {
    if (err === null || err === undefined) return { name: '', message: String(err) };
    if (typeof err !== 'object') return { name: '', message: cut(attempt(function () { return String(err); }, '')) };
    var made = {
      name: attempt(function () { return String(err.name || ''); }, ''),
      message: cut(attempt(function () { return err.message; }, '') || ''),
      stack: cut(attempt(function () { return err.stack; }, '') || ''),
      code: attempt(function () { return typeof err.code === 'string' ? err.code : undefined; })
    };
    // Errors that came from another process have lost their class.
    var named = /^([A-Z]\w*(?:Error|Exception))(?: \[\w+\])?:/.exec(made.stack);
    if (made.name === 'Error' && named) made.name = named[1];
    attempt(function () { sides(err, utils, made); });
    if (depth < 4) {
      var cause = attempt(function () { return err.cause; });
      if (cause) made.cause = error(cause, utils, depth + 1);
    }
    return made;
  }

  /** What the error itself proves. */
  function kind(made, err) {
    var object = err && typeof err === 'object' ? err : {};
    if (made.code === 'ERR_MOCHA_TIMEOUT' || /^Timeout of \d+ms exceeded\. For async tests/.test(made.message)) return 'timeout';
    var named = /Assertion|ExpectationFailed|^UnexpectedError$/.test(made.name);
    var matched = attempt(function () { return !!object.matcherResult; }, false);
    return named || matched || made.code === 'ERR_ASSERTION' ? 'assertion' : undefined;
  }

  function titles(runnable) {
    var found = attempt(function () { return runnable.titlePath(); });
    if (isArray(found)) return found.map(String);
    found = [];
    for (var one = runnable; one && found.length < 100; one = one.parent) {
      if (one.title) found.unshift(String(one.title));
    }
    return found;
  }

  function fileOf(runnable) {
    for (var one = runnable, i = 0; one && i < 100; one = one.parent, i += 1) {
      if (typeof one.file === 'string') return one.file;
    }
    return '';
  }

  /** Where `it` was called, by the stack of Mocha's own bookkeeping. */
  var places = new WeakMap();
  function remember(test) {
    var limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 15;
    var lines = attempt(function () { return String(new Error().stack).split('\n').slice(1); }, []);
    Error.stackTraceLimit = limit;
    for (var i = 0; i < lines.length; i += 1) {
      var line = lines[i];
      var found = /\(?((?:file:\/\/)?\/[^()]*):(\d+):(\d+)\)?$/.exec(line);
      var foreign = /[\\/]mocha[\\/]lib[\\/]|[\\/]node_modules[\\/]|regreen_mocha\.cjs/.test(line);
      if (found && !foreign) {
        places.set(test, [found[1], Number(found[2]), Number(found[3])]);
        return;
      }
    }
  }

  function eachTest(suite, look) {
    (suite.tests || []).forEach(look);
    (suite.suites || []).forEach(function (inner) { eachTest(inner, look); });
  }

  function count(suite, wanted) {
    var sum = 0;
    eachTest(suite, function (test) { if (wanted(test)) sum += 1; });
    return sum;
  }

  /** A verdict is about all tests: the first failure does not end the run. */
  function goOn(suite) {
    suite._bail = false;
    (suite.suites || []).forEach(goOn);
  }

  function firstTest(suite, last) {
    var found;
    if (suite) eachTest(suite, function (test) { if (last || !found) found = test; });
    return found;
  }

  /** Listens to one run. */
  function watch(runner, options, utils, version) {
    if (!take() || finished) return;
    session(version);
    var parallel = attempt(function () { return runner.isParallelMode(); }, false);
    attempt(function () { goOn(runner.suite); });
    attempt(function () { if (options && options.options) options.options.bail = false; });
    var all = parallel ? 0 : count(runner.suite, function () { return true; });
    var next = 1;
    var running = new Map();
    var retried = new Map();
    var over = new Map();
    var known = new Map();
    var open = [];
    var at = '';
    var tally = { passed: 0, failed: 0, skipped: 0 };
    var listed = 0;
    var hooks = 0;

    var key = function (runnable) { return runnable.__mocha_id__ || runnable; };
    var full = function (runnable, path) { return fileOf(runnable) + '\n' + path.join('\n'); };

    function touch(file) {
      if (!file || file === at) return;
      if (!parallel) {
        closeAll();
        open.push(file);
        write({ k: 'open', file: file });
      }
      at = file;
    }

    function close(file) {
      var place = open.indexOf(file);
      if (place < 0) return;
      open.splice(place, 1);
      write({ k: 'close', file: file });
    }

    function closeAll() {
      open.slice().forEach(close);
    }

    function result(entry, word) {
      tally[word] += 1;
      running.delete(entry.key);
      over.set(entry.key, word);
    }

    function named(runnable) {
      var path = titles(runnable);
      return { id: path.join(' > '), file: fileOf(runnable), path: path };
    }

    runner.on('start', function () {
      if (parallel) {
        open = (options && options.files || []).slice();
        open.forEach(function (file) { write({ k: 'open', file: file }); });
        return;
      }
      listed = count(runner.suite, function (test) {
        var match = runner._grep ? runner._grep.test(test.fullTitle()) : true;
        return runner._invert ? !match : match;
      });
      write({ k: 'listed', total: listed });
      var left = all - listed;
      if (left > 0) {
        var what = left === 1 ? '1 test was' : left + ' tests were';
        write({ k: 'note', code: 'filtered_out', message: what + ' left out by a filter of the command or its configuration, and did not run' });
      }
    });

    runner.on('suite', function (suite) { touch(fileOf(suite)); });
    runner.on('hook', function (hook) { touch(fileOf(hook)); });
    runner.on('suite end', function (suite) { if (parallel && suite.root) close(at); });

    runner.on('test', function (test) {
      touch(fileOf(test));
      var name = named(test);
      var before = attempt(function () { return test.currentRetry(); }, 0) > 0 && retried.get(full(test, name.path));
      if (before) {
        retried.delete(full(test, name.path));
        before.key = key(test);
        running.set(before.key, before);
        return;
      }
      var entry = { t: next, key: key(test), at: places.get(test) };
      next += 1;
      running.set(entry.key, entry);
      if (parallel) known.set(entry.key, name.path);
      write({ k: 'start', t: entry.t, id: name.id, file: name.file, path: name.path, at: entry.at });
    });

    runner.on('retry', function (test, err) {
      var entry = running.get(key(test));
      if (!entry) return;
      entry.error = error(err, utils, 0);
      running.delete(entry.key);
      retried.set(full(test, titles(test)), entry);
      write({ k: 'retry', t: entry.t });
    });

    runner.on('pass', function (test) {
      var entry = running.get(key(test));
      if (!entry) return;
      write({ k: 'pass', t: entry.t, ms: test.duration });
      result(entry, 'passed');
    });

    runner.on('pending', function (test) {
      touch(fileOf(test));
      var entry = running.get(key(test));
      if (entry) {
        write({ k: 'skip', t: entry.t });
        result(entry, 'skipped');
        return;
      }
      var name = named(test);
      write({ k: 'skip', id: name.id, file: name.file });
      tally.skipped += 1;
      over.set(key(test), 'skipped');
    });

    runner.on('fail', function (runnable, err) {
      touch(fileOf(runnable));
      var made = error(err, utils, 0);
      var record = { k: 'fail', phase: 'call', kind: kind(made, err), error: made, ms: runnable.duration };
      if (runnable.type === 'hook') hookFailed(runnable, record);
      else if (runnable.type === 'test') testFailed(runnable, record);
      else outside(runnable, record);
    });

    function testFailed(test, record) {
      var entry = running.get(key(test));
      var before = over.get(key(test));
      if (!entry && before === 'failed') return;
      record.at = entry ? entry.at : places.get(test);
      if (entry) {
        record.t = entry.t;
        write(record);
        result(entry, 'failed');
        return;
      }
      // It had passed, or been skipped, before this came.
      var name = named(test);
      for (var part in name) record[part] = name[part];
      write(record);
      tally.failed += 1;
      over.set(key(test), 'failed');
    }

    function hookFailed(hook, record) {
      hooks += 1;
      var name = named(hook);
      var each = /^"(before|after) each"/.test(hook.title);
      record.phase = /^"before/.test(hook.title) ? 'setup' : 'teardown';
      if (record.kind !== 'timeout') record.kind = undefined;
      var test = attempt(function () { return hook.ctx.currentTest; }) ||
        attempt(function () { return firstTest(hook.parent, record.phase === 'teardown'); });
      record.id = name.id;
      record.file = name.file;
      // What has to be run so that the hook runs again.
      record.path = name.path.slice(0, -1);
      if (test && typeof test.titlePath === 'function') record.path = titles(test);
      else if (test && known.has(key(test))) record.path = known.get(key(test));
      else if (test) record.path.push(String(test.title));
      if (each && record.phase === 'setup') {
        var entry = running.values().next().value;
        if (entry) {
          record.t = entry.t;
          write(record);
          result(entry, 'failed');
          return;
        }
      }
      write(record);
      tally.failed += 1;
    }

    /** Nobody's: an exception that came while nothing ran. */
    function outside(runnable, record) {
      record.phase = 'session';
      record.id = String(runnable.title);
      if (parallel) {
        // A file that a worker could not load.
        var text = record.error.stack + record.error.message;
        var file = open.filter(function (one) { return text.indexOf(one) >= 0 || text.indexOf(path.relative(process.cwd(), one)) >= 0; })[0];
        if (file || open.length === 1) {
          record.id = record.file = file || open[0];
          record.phase = 'collect';
          record.kind = undefined;
          close(record.id);
        }
      }
      write(record);
      tally.failed += 1;
    }

    runner.on('end', function () {
      retried.forEach(function (entry) {
        write({ k: 'fail', t: entry.t, phase: 'call', error: entry.error, at: entry.at });
        tally.failed += 1;
      });
      running.forEach(function (entry) {
        write({ k: 'skip', t: entry.t });
        tally.skipped += 1;
      });
      // Those that a failed hook kept from running do not make the run incomplete: it is told.
      var seen = 0;
      over.forEach(function () { seen += 1; });
      var left = listed - seen - retried.size - running.size;
      if (left > 0 && hooks > 0) write({ k: 'unlisted', total: left, why: 'a hook failed' });
      closeAll();
      write({ k: 'finish', records: number, passed: tally.passed, failed: tally.failed, skipped: tally.skipped });
      finished = true;
    });
  }

  /** Files that cannot be loaded never reach a runner. */
  function watchLoading(Mocha, utils, version) {
    ['loadFiles', 'loadFilesAsync'].forEach(function (name) {
      var original = Mocha.prototype[name];
      if (typeof original !== 'function') return;
      Mocha.prototype[name] = function () {
        var file = '';
        var self = this;
        attempt(function () { self.suite.on('pre-require', function (_, loading) { if (loading) file = loading; }); });
        var failed = function (err) {
          attempt(function () {
            if (!take()) return;
            session(version);
            var made = error(err, utils, 0);
            write({ k: 'fail', id: file, file: file, path: [], phase: 'collect', error: made });
            write({ k: 'finish', records: number, passed: 0, failed: 1, skipped: 0 });
            finished = true;
          });
          throw err;
        };
        attempt(take);
        var loaded;
        try {
          loaded = original.apply(this, arguments);
        } catch (err) {
          failed(err);
        }
        return loaded && typeof loaded.then === 'function' ? loaded.then(null, failed) : loaded;
      };
    });
  }

  var known = new Set();
  function look(loaded, parent) {
    if (typeof loaded !== 'function' || !loaded.prototype || known.has(loaded)) return;
    var methods = loaded.prototype;
    var runs = Object.prototype.hasOwnProperty.call(methods, 'run') && typeof methods.runTests === 'function';
    var loads = typeof methods.loadFiles === 'function' && typeof methods.addFile === 'function';
    var adds = typeof methods.addTest === 'function' && typeof methods.addSuite === 'function';
    if (!runs && !loads && !adds) return;
    known.add(loaded);
    // Of Mocha's own directory `lib`, wherever the one that asked lies in it.
    var from = path.dirname(parent.filename);
    while (path.basename(from) !== 'lib' && path.dirname(from) !== from) from = path.dirname(from);
    if (path.basename(from) !== 'lib') from = path.join(path.dirname(parent.filename), 'lib');
    var utils = attempt(function () { return load(path.join(from, 'utils.js'), parent, false); }, { stringify: stringify });
    var version = attempt(function () { return load(path.join(from, '..', 'package.json'), parent, false).version; }, '');
    if (loads) watchLoading(loaded, utils, version);
    if (adds) {
      var addTest = methods.addTest;
      methods.addTest = function (test) {
        attempt(function () { remember(test); });
        return addTest.apply(this, arguments);
      };
    }
    if (runs) {
      var run = methods.run;
      methods.run = function (callback, options) {
        var self = this;
        attempt(function () { watch(self, options, utils, version); });
        return run.apply(this, arguments);
      };
    }
  }

  var load = Module._load;
  Module._load = function (request, parent) {
    var loaded = load.apply(this, arguments);
    if (typeof request === 'string' && /(^|[\/-])(runner|mocha|suite)(\.js)?$/.test(request)) {
      attempt(function () { look(loaded, parent); });
    }
    return loaded;
  };
})();
