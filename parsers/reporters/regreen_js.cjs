// regreen's way into Jest and Vitest: loaded into every node process of a test command by
// NODE_OPTIONS=--require, it does nothing until the process is the runner itself. Then it adds
// regreen's reporter beside the default one to the arguments, takes out what lets a run end
// early or never, and hides its own variables from child processes. In the workers of Vitest it
// only looks which test is running.
'use strict';

(function () {
  var env = process.env;
  var path, fs, own;
  try {
    path = require('path');
    fs = require('fs');
    own = require('worker_threads').isMainThread;
  } catch (_) {
    return;
  }

  /** Removes this file from the options that child processes inherit. */
  function hide() {
    var options = env.NODE_OPTIONS || '';
    var mine = /\s*--require[= ]("[^"]*regreen_js\.cjs"|\S*regreen_js\.cjs)/;
    options = options.replace(mine, '').trim();
    if (options) env.NODE_OPTIONS = options;
    else delete env.NODE_OPTIONS;
  }

  function version(main, name) {
    for (var dir = path.dirname(main), i = 0; i < 6; dir = path.dirname(dir), i += 1) {
      try {
        var found = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'));
        if (!name || found.name === name) return String(found.version || '');
      } catch (_) {
        // The next directory may have one.
      }
    }
    return '';
  }

  /** The arguments without options that let a run end early or never. */
  function without(words, alone, valued) {
    var kept = [];
    for (var i = 0; i < words.length; i += 1) {
      var word = words[i];
      if (word === '--') return kept.concat(words.slice(i));
      var name = word.split('=')[0];
      if (alone.indexOf(name) >= 0) continue;
      if (valued.indexOf(name) >= 0) {
        if (word === name && /^\d+$/.test(words[i + 1] || '')) i += 1;
        continue;
      }
      kept.push(word);
    }
    return kept;
  }

  /** Puts words before a `--`, behind which only names of files stand. */
  function add(words, more) {
    var at = words.indexOf('--');
    return at < 0 ? words.concat(more) : words.slice(0, at).concat(more, words.slice(at));
  }

  function jest(main) {
    var words = process.argv.slice(2);
    if (words.some(function (word) { return /^(--(help|version|init|showConfig|listTests|clearCache)|-h|-v)$/.test(word); })) return;
    words = without(words, ['--watch', '--watchAll'], ['--bail', '-b']);
    var more = ['--reporters=default', '--reporters=' + path.join(__dirname, 'regreen_jest.cjs'), '--bail=0', '--testLocationInResults'];
    if (!words.some(function (word) { return /^--(no-)?ci\b/.test(word); })) more.push('--ci');
    // `--reporters=x` of the user's own stays beside them.
    if (words.some(function (word) { return /^--reporters\b/.test(word); })) more.shift();
    process.argv = process.argv.slice(0, 2).concat(add(words, more));
    start(version(main));
  }

  function vitest(main) {
    var words = process.argv.slice(2);
    var command = words.filter(function (word) { return word[0] !== '-'; })[0];
    if (/^(bench|list|init|related|typecheck)$/.test(command || '') && command !== 'related') return;
    if (words.some(function (word) { return /^(--(help|version|clearCache|mergeReports)|-h|-v)$/.test(word.split('=')[0]); })) return;
    words = without(words, ['--watch', '-w', '--ui', '--update', '-u'], ['--bail']);
    if (/^(watch|dev)$/.test(command || '')) words[words.indexOf(command)] = 'run';
    var known = version(main, 'vitest');
    var more = ['--reporter=' + path.join(__dirname, 'regreen_vitest.mjs'), '--run', '--bail=0'];
    if (!words.some(function (word) { return /^--reporter\b/.test(word); })) more.unshift('--reporter=default');
    if (parseInt(known, 10) >= 3) more.push('--includeTaskLocation');
    process.argv = process.argv.slice(0, 2).concat(add(words, more));
    start(known);
    // The workers look which test is running: they need this file, and nothing else of it.
    env.REGREEN_RUNNING = globalThis[Symbol.for('regreen')].events + '.running';
  }

  /** Another start of the runner in one command has a file of its own. */
  function free(file) {
    try {
      if (fs.statSync(file).size > 0) return file.replace(/\.ndjson$/, '-' + process.pid + '.ndjson');
    } catch (_) {
      // It is not there yet.
    }
    return file;
  }

  function start(known) {
    env.REGREEN_EVENTS = free(env.REGREEN_EVENTS);
    Object.defineProperty(globalThis, Symbol.for('regreen'), {
      value: { events: env.REGREEN_EVENTS, version: known },
      configurable: true,
    });
    delete env.REGREEN_EVENTS;
  }

  /** In a worker of Vitest: each test that begins is written down before it runs. */
  function worker(file) {
    var define = Object.defineProperty;
    var write = fs.writeSync;
    var stringify = JSON.stringify;
    var pid = process.pid;
    var fd = fs.openSync(file, 'a');
    function titles(task) {
      var path = [];
      for (var one = task; one && one.name !== undefined && one.filepath === undefined && path.length < 100; one = one.suite) path.unshift(one.name);
      return path;
    }
    function watch(state) {
      var current;
      define(state, 'current', {
        configurable: true,
        enumerable: true,
        get: function () { return current; },
        set: function (task) {
          current = task;
          try {
            if (process.pid !== pid) return;
            var at = task && task.file && task.file.filepath;
            write(fd, stringify(task ? { w: pid, id: task.id, file: at || state.filepath, path: titles(task) } : { w: pid }) + '\n');
          } catch (_) {
            // A test is never disturbed by whoever looks at it.
          }
        },
      });
    }
    Object.defineProperty = function defineProperty(object, key, description) {
      if (key === '__vitest_worker__' && description && description.value) {
        try {
          watch(description.value);
        } catch (_) {
          // Then nobody looks.
        }
      }
      return define(object, key, description);
    };
    define(globalThis, '__vitest_worker__', {
      configurable: true,
      get: function () { return undefined; },
      set: function (state) {
        try {
          watch(state);
        } catch (_) {
          // Then nobody looks.
        }
        define(globalThis, '__vitest_worker__', { value: state, configurable: true, writable: true });
      },
    });
  }

  try {
    var main = process.argv[1] || '';
    if (env.REGREEN_RUNNING) {
      var running = env.REGREEN_RUNNING;
      delete env.REGREEN_RUNNING;
      hide();
      worker(running);
      return;
    }
    if (!env.REGREEN_EVENTS || !own || !main) return;
    try {
      main = fs.realpathSync(main);
    } catch (_) {
      // It stays what it is.
    }
    main = main.replace(/\\/g, '/');
    if (/\/(jest|jest-cli)\/bin\/jest\.js$|\/(react-scripts|@craco\/craco\/dist)\/scripts\/test\.js$/.test(main)) {
      jest(main);
      hide();
    } else if (/\/vitest\/(vitest\.mjs|dist\/cli(-wrapper)?\.js)$/.test(main)) {
      vitest(main);
    }
  } catch (_) {
    // The command runs as it would without us.
  }
})();
